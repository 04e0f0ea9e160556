#include "trainer/train/training_loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "trainer/train/checkpoint.hpp"
#include "trainer/train/learning_rate.hpp"
#include "trainer/train/optimizer.hpp"

namespace cosearch {
namespace {

/// The progress sink is called about this often in one training.
constexpr std::int64_t kProgressCalls = 200;

double mean_loss(const TrainPosition& position) {
  return position.epoch_steps == 0 ? 0.0 : position.epoch_loss / static_cast<double>(position.epoch_steps);
}

/// Runs step `position.step` and moves on. Returns its loss.
double advance(const TrainingLoop& loop, Optimizer& optimizer, TrainPosition& position) {
  if (position.step % loop.batches.steps_per_epoch() == 0) {
    position.epoch_loss = 0.0;
    position.epoch_steps = 0;
  }
  loop.batches.select(position.step);
  const StepResult result = loop.step(position.step);
  optimizer.update(position.step, learning_rate_at(loop.options, position.step, loop.batches.steps()), result.gradients,
                   loop.parameters);
  position.epoch_loss += result.loss;
  ++position.epoch_steps;
  ++position.step;
  return result.loss;
}

}  // namespace

Expected<TrainResult, Infeasible> run(const TrainingLoop& loop, const ProgressSink& progress,
                                      const std::stop_token& stop) {
  Optimizer optimizer(loop.options, loop.parameters);
  TrainPosition position;
  if (!loop.checkpoint.empty()) {
    position = load_checkpoint(loop.checkpoint, loop.key, loop.parameters, optimizer).value_or(TrainPosition{});
  }
  const auto save = [&] {
    if (!loop.checkpoint.empty()) {
      save_checkpoint(loop.checkpoint, loop.key, position, loop.parameters, optimizer);
    }
  };
  const std::int64_t steps = loop.batches.steps();
  const std::int64_t progress_interval = std::max<std::int64_t>(1, steps / kProgressCalls);
  const std::int64_t interval =
      loop.checkpoint_interval > 0 ? loop.checkpoint_interval : loop.batches.steps_per_epoch();
  while (position.step < steps) {
    if (stop.stop_requested()) {
      save();
      return TrainResult{.train_loss = mean_loss(position), .steps = position.step, .stopped = true};
    }
    if (const double loss = advance(loop, optimizer, position); !std::isfinite(loss)) {
      return Unexpected{Infeasible{
          {}, fmt::format("training diverged: the loss is {} at step {} of {}", loss, position.step, steps)}};
    }
    if (progress && (position.step % progress_interval == 0 || position.step == steps)) {
      progress({.step = position.step, .steps = steps, .loss = mean_loss(position)});
    }
    if (position.step % interval == 0 || position.step == steps) {
      save();
    }
  }
  return TrainResult{.train_loss = mean_loss(position), .steps = position.step};
}

}  // namespace cosearch
