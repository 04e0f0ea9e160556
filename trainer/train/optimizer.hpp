#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/net/aligned_floats.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

/// SGD with momentum or AdamW over a network's trainable weights; see kernels::sgd_update and kernels::adamw_update.
/// Elements are independent of each other, so the bits do not depend on the number of threads.
class Optimizer {
 public:
  Optimizer(const TrainOptions& options, const Parameters& parameters);

  /// Step number `step` (from 0) at the given rate. Gradients are divided by options.loss_scale, then scaled down to a
  /// global norm of options.clip_norm where that is positive and smaller than theirs. Weights, and velocities of SGD,
  /// are rounded to the storage of the parameters' precision.
  void update(std::int64_t step, double rate, std::span<const float> gradients, Parameters& parameters);

  /// Velocities, or means and squares; what a checkpoint keeps.
  [[nodiscard]] std::span<float> state() noexcept { return state_.span(); }
  [[nodiscard]] std::span<const float> state() const noexcept { return state_.span(); }

 private:
  /// A stretch of one weight, the unit of parallel work.
  struct Block {
    std::int64_t begin;
    std::int64_t size;
    bool decay;
  };
  [[nodiscard]] double gradient_scale(std::span<const float> gradients);

  TrainOptions options_;
  std::vector<Block> blocks_;
  std::vector<double> squares_;  ///< of each block
  AlignedFloats state_;
};

}  // namespace cosearch
