#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>

#include "trainer/net/parameters.hpp"
#include "trainer/train/batch_sequence.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

/// What one step finds, before the weights move.
struct StepResult {
  double loss = 0.0;
  std::span<const float> gradients;  ///< at the offsets of the trained parameters
};

/// The loop around every training, of one network or of a supernet: data order, learning rate, optimiser, progress,
/// stops and checkpoints.
struct TrainingLoop {
  const TrainOptions& options;
  BatchSequence& batches;
  Parameters& parameters;
  std::function<StepResult(std::int64_t step)> step;  ///< of the batch that is chosen
  std::string checkpoint = {};                        ///< path; empty: none
  std::uint64_t key = 0;                              ///< of the checkpoint
  std::int64_t checkpoint_interval = 0;               ///< steps; 0: an epoch
};

/// From the checkpoint, or the beginning, to the end of the recipe; `accuracy` is left at 0. Infeasible: the loss
/// became NaN or infinite. @throws std::runtime_error: the checkpoint cannot be written.
[[nodiscard]] Expected<TrainResult, Infeasible> run(const TrainingLoop& loop, const ProgressSink& progress,
                                                    const std::stop_token& stop);

}  // namespace cosearch
