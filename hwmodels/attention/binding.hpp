#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/attention/profile.hpp"
#include "spaces/base/expected.hpp"

namespace cosearch::attention {

/// What runs at the same time on the two arrays, by works in order. A slot takes as long as its busier array.
struct Slot {
  std::vector<int> array;
  std::vector<int> lanes;
  std::vector<int> drains;  ///< works whose sums wait for the array's columns to drain: `rows` times their cycles
};

/// When and where the works of a cascade run while tiles follow one another: slots that repeat for each tile. A work
/// may belong to an earlier tile than its neighbours (software pipelining): its lag.
struct Binding {
  std::string name;
  std::vector<Slot> slots;
  std::vector<int> lag;  ///< by work: tiles behind the first slot's
};

/// One work after the other; sums down the columns drain.
[[nodiscard]] Binding sequential_binding(const Profile& profile, const std::vector<bool>& on_array);

/// All works in one slot, each as many tiles behind as its operands need: the arrays are bound by their work alone. The
/// reason where a recurrence between the arrays forbids it, here and below.
[[nodiscard]] Expected<Binding, std::string> interleaved_binding(const Profile& profile,
                                                                 const std::vector<bool>& on_array);

/// Slots by dependences, a new one where values go from the lanes to the array and where a sum down the columns has to
/// drain; lanes that take what the array gives in their slot are a tile behind.
[[nodiscard]] Expected<Binding, std::string> pipelined_binding(const Profile& profile,
                                                               const std::vector<bool>& on_array);

/// Slots as text: `qk lm drain lm | rd av ; | rm ; ...`: works of the array, after `drain` those whose sums drain from
/// it, bar, works of the lanes. The reason where a name is none of the profile's, a work is missing, doubled or on an
/// array that does not compute it, or no lags satisfy the dependences: within a slot an array runs its works in order,
/// and either takes what the other gave in an earlier slot.
[[nodiscard]] Expected<Binding, std::string> parse_binding(std::string_view text, const Profile& profile,
                                                           const std::vector<bool>& on_array);

/// The same text again.
[[nodiscard]] std::string to_text(const Binding& binding, const Profile& profile);

/// Tiles of a work's result that are live at once: from its slot to its last reader's.
[[nodiscard]] int tiles_in_flight(const Binding& binding, const Profile& profile, int work);

}  // namespace cosearch::attention
