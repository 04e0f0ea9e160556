#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/model.hpp"
#include "spaces/queue/expert_queue.hpp"

/// Inside of hwmodels/asic: the weights of a mixture's next expert load while one computes.
namespace cosearch::asic {

/// What a walk found of one einsum of an expert, in cycles. One that takes over works together with those before it, up
/// to the last that does not: `others`, `buffer` and `cycles` are those of all of them so far.
struct EinsumTime {
  bool takes_over = false;
  double others = 0.0;    ///< of the slowest of all but the external memory
  int others_level = -1;  ///< which memory that is, if it is one
  double buffer = 0.0;    ///< of the memory where weights wait
  double reading = 0.0;   ///< of the external memory, for this einsum alone
  double writing = 0.0;
  double weights = 0.0;   ///< whole cycles among `reading`: each weight once
  double cycles = 0.0;    ///< until all of them are done
  int bound_level = -1;   ///< which memory the einsum's own cycles were booked on
  bool on_lanes = false;  ///< it is no product
};

/// One expert's einsums, and what is in the buffer in the fullest of them.
struct ExpertTime {
  std::vector<EinsumTime> einsums;
  MemoryStep fullest;
};

/// The way of weights from the external memory into the buffer where they wait.
struct WeightPath {
  int outer_level = -1;
  int buffer_level = -1;
  double bytes_per_cycle = 0.0;  ///< in words of the buffer
  double pace = 1.0;             ///< of the external memory's pace that the buffer keeps, at most 1
  bool one_port = true;          ///< of the external memory: reads wait for writes
  std::int64_t capacity_bytes = 0;
};
/// Nothing where weights cannot wait on the chip (no resident level that keeps them), or need not: the external memory
/// is unbounded or has several instances.
[[nodiscard]] std::optional<WeightPath> weight_path(const Arch& arch);

/// What an einsum takes with prefetching.
struct RetimedEinsum {
  double cycles = 0.0;   ///< as EinsumTime::cycles
  int bound_level = -1;  ///< of its own cycles
};

/// How one expert runs with prefetching.
struct Prefetched {
  double ahead_cycles = 0.0;       ///< of its weights' loading, in the time of the expert before
  std::int64_t ahead_bytes = 0;    ///< of the buffer that they take until the expert is through
  std::int64_t lacking_bytes = 0;  ///< that would have loaded, too, had there been room
  std::vector<RetimedEinsum> einsums;
};

/// The steps of double_buffered_steps(queue): while an expert computes, weights of the next one load as far as the
/// external memory and the buffer are idle, somebody would have to wait for them, and there is room: what the residents
/// and tiles of the two experts leave of the buffer, and the computing one's own prefetched weights. What does not come
/// ahead loads in its turn, beside its expert's computing, as all of it does without prefetching; nothing takes longer
/// than that, and the same bytes move.
[[nodiscard]] std::vector<Prefetched> prefetch(const ExpertQueue& queue, std::span<const ExpertTime> experts,
                                               const WeightPath& path);

/// The fullest moment of a queue: an expert computes, its own weights and the next one's wait or load.
[[nodiscard]] MemoryStep fullest_step(const ExpertQueue& queue, std::span<const ExpertTime> experts,
                                      std::span<const Prefetched> prefetched);

/// One line for each expert: tokens, bytes that came ahead, bytes that had no room.
[[nodiscard]] std::string describe_queue(const ExpertQueue& queue, std::span<const Prefetched> prefetched);

}  // namespace cosearch::asic
