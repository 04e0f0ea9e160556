#pragma once

#include <cstdint>
#include <vector>

#include "spaces/program/program.hpp"

namespace cosearch::program {

/// First and last call (inclusive) during which a buffer's bytes are needed. Call 0 also covers the time before it,
/// the last call the time after it.
struct LiveRange {
  int first = 0;
  int last = 0;
  bool operator==(const LiveRange&) const = default;
};

/// One range per buffer, in buffer order. A buffer that no call names lives for the whole program when it is
/// persistent, an input or an output. Calls of one row block count as one step: what one of them needs lives through
/// all of them, except a row that is written anew in each round (`Buffer::per_row`).
[[nodiscard]] std::vector<LiveRange> live_ranges(const Program& program);

/// Bytes in use during one call. A buffer and its alias, live in the same call, count once, with the larger size.
struct LiveStep {
  std::int64_t bytes = 0;
  std::vector<int> buffers;
};
/// One step per call (one step for a program without calls).
[[nodiscard]] std::vector<LiveStep> live_steps(const Program& program);

/// Bytes of the largest step: no plan can be smaller.
[[nodiscard]] std::int64_t peak_live_bytes(const Program& program);

struct ArenaPlan {
  std::vector<std::int64_t> offsets;  ///< of each buffer, in bytes
  std::int64_t bytes = 0;             ///< size of the arena
  std::int64_t lower_bound = 0;       ///< peak_live_bytes
};

/// Static offsets for all buffers such that no two simultaneously live ones overlap, except a buffer and its alias,
/// which share their first byte. First fit in several orders; while the result is above the lower bound, the buffers
/// at the top of the best plan are placed earlier and the rest again, and at last a branch and bound of limited size
/// looks for less. Deterministic; of small programs the optimum, of large ones not always (the problem is NP-hard), see
/// tests/spaces/program/arena_test.cpp for how near it comes.
[[nodiscard]] ArenaPlan plan_arena(const Program& program);

}  // namespace cosearch::program
