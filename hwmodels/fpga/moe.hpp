#pragma once

#include <cstdint>
#include <span>

#include "hwmodels/fpga/design.hpp"
#include "hwmodels/fpga/timeline.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/queue/expert_queue.hpp"

namespace cosearch::fpga {

/// A mixture of experts, one task's router.
struct MoeShape {
  std::int64_t tokens = 1;  ///< of all samples
  std::int64_t width = 1;   ///< of a token
  std::int64_t hidden = 1;  ///< of an expert
  std::int64_t experts = 1;
  std::int64_t top_k = 1;
  std::int64_t gate_inputs = 1;   ///< width, and the features of a task's embedding
  std::int64_t gate_weights = 0;  ///< scalars of everything that only the task's router reads

  [[nodiscard]] std::int64_t activations() const { return tokens * top_k; }
  [[nodiscard]] std::int64_t expert_weights() const { return 2 * width * hidden + hidden + width; }
};

struct MoeTime {
  LayerTime gate;
  LayerTime all;  ///< gate and experts
  ExpertQueue queue;
  Timeline timeline;  ///< of experts one by one, from the end of the gate; empty with other schedulings
  double expert_load_cycles = 0.0;
  double token_cycles = 0.0;  ///< of one token in one expert
};

/// The layer on the engines, `counts` tokens at each expert. Infeasible: experts do not fit the weights' buffers.
[[nodiscard]] Expected<MoeTime, Infeasible> moe_time(const MoeShape& shape, std::span<const std::int64_t> counts,
                                                     const Engines& engines);

// The equations behind M3ViT's table 4.

/// Cycles in which tokens in their order wait for weights: nothing is known of the next token's experts, so nothing
/// loads ahead. `kept` of `experts` are on the chip, and a token's is one of these by chance (0: none).
[[nodiscard]] double token_order_load_cycles(double activations, double expert_load_cycles, double kept,
                                             double experts);
/// Bytes on the chip with experts one by one: what the dense network needs, and the gate.
[[nodiscard]] double reordered_bytes(double dense_bytes, double gate_bytes);
/// With all experts of a layer there, of which `dense_experts` fit where the dense feed-forward layer was.
[[nodiscard]] double all_on_chip_bytes(double dense_bytes, double gate_bytes, double expert_bytes, double experts,
                                       double dense_experts);

}  // namespace cosearch::fpga
