#include "trainer/train/train.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/train/checkpoint.hpp"
#include "trainer/train/learning_rate.hpp"
#include "trainer/train/optimizer.hpp"

namespace cosearch {
namespace {

/// Raised with every change that alters the bits of a training.
constexpr int kCodeVersion = 1;
/// Evaluated at a time, so that the resized images of a large split need not be in memory at once.
constexpr std::int64_t kEvaluateBlock = 1024;
/// The progress sink is called about this often in one training.
constexpr std::int64_t kProgressCalls = 200;

/// A network and a data set that do not fit each other are the user's mistake: spaces take both from the config.
void check_fit(const graph::NetworkGraph& graph, const Dataset& dataset) {
  if (graph.outputs.size() != 1) {
    throw ConfigError("", fmt::format("network {} has {} outputs; training takes networks with one", graph.name,
                                      graph.outputs.size()));
  }
  const auto shapes = graph::infer_shapes(graph);
  if (!shapes) {
    throw ConfigError("", fmt::format("network {}: {}", graph.name, shapes.error()));
  }
  if (const auto mismatch = input_mismatch(dataset.sample, shapes->front())) {
    throw ConfigError("", fmt::format("network {}: {}", graph.name, *mismatch));
  }
  const graph::Shape& output = (*shapes)[static_cast<std::size_t>(graph.outputs.front())];
  if (output != graph::Shape{dataset.classes}) {
    throw ConfigError("", fmt::format("network {} ends with shape ({}); the data set has {} classes", graph.name,
                                      fmt::join(output, ", "), dataset.classes));
  }
}

BatchSpec plain_batches(const graph::NetworkGraph& graph, const TaskData& data) {
  return {.input = std::get<graph::Input>(graph.nodes.front().op).shape, .mean = data.mean, .std_dev = data.std_dev};
}

/// A label is right when its output is the first of the largest; never among NaNs.
bool is_first_maximum(std::span<const float> outputs, std::size_t label) {
  for (std::size_t c = 0; c < outputs.size(); ++c) {
    const bool beaten = c < label ? outputs[label] > outputs[c] : outputs[label] >= outputs[c];
    if (!beaten) {
      return false;
    }
  }
  return true;
}

double accuracy(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                const Parameters& parameters, std::int64_t samples) {
  const std::int64_t count = samples > 0 ? std::min(samples, split.size()) : split.size();
  if (count == 0) {
    return 0.0;
  }
  const BatchSpec spec = plain_batches(graph, data);
  InferenceExecutor executor(graph, parameters);
  const auto classes = static_cast<std::size_t>(split.classes);
  std::vector<std::int64_t> indices;
  std::vector<float> outputs(static_cast<std::size_t>(kEvaluateBlock) * classes);
  const InputSource input = [&](std::int64_t first, std::int64_t size, float* out) {
    fill_batch(split, spec, std::span(indices).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)),
               out);
  };
  std::int64_t right = 0;
  for (std::int64_t begin = 0; begin < count; begin += kEvaluateBlock) {
    const std::int64_t size = std::min(kEvaluateBlock, count - begin);
    indices.resize(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) {
      indices[static_cast<std::size_t>(i)] = begin + i;
    }
    executor.run(input, size, outputs.data());
    for (std::int64_t i = 0; i < size; ++i) {
      const auto row = std::span<const float>(outputs).subspan(static_cast<std::size_t>(i) * classes, classes);
      right += is_first_maximum(row, split.labels[static_cast<std::size_t>(begin + i)]) ? 1 : 0;
    }
  }
  return static_cast<double>(right) / static_cast<double>(count);
}

/// Everything that decides how a training goes on from a checkpoint.
std::uint64_t training_key(const graph::NetworkGraph& graph, const TaskData& data, const TrainOptions& options,
                           std::uint64_t seed, const Parameters& parameters) {
  return Hasher{}
      .add(graph::hash(graph))
      .add(data.content_hash)
      .add(to_json(options).dump())
      .add(seed)
      .add(trainer_fingerprint())
      .add_bytes(std::as_bytes(parameters.values()))
      .value();
}

/// One training: the plan, the data order and the loop.
class Training {
 public:
  Training(const graph::NetworkGraph& graph, const TaskData& data, const TrainOptions& options, std::uint64_t seed,
           Parameters& parameters)
      : data_(data),
        options_(options),
        seed_(seed),
        parameters_(parameters),
        // The subset belongs to the data, not to the seed: all candidates see the same samples.
        subset_(balanced_subset(data.train.labels, data.train.classes, options.train_samples, data.content_hash)),
        batch_(std::min(options.batch, static_cast<std::int64_t>(subset_.size()))),
        steps_per_epoch_(static_cast<std::int64_t>(subset_.size()) / batch_),
        steps_(std::max<std::int64_t>(1, std::llround(options.epochs * static_cast<double>(steps_per_epoch_)))),
        executor_(graph, parameters, batch_),
        optimizer_(options, parameters),
        batch_spec_(plain_batches(graph, data)),
        labels_(static_cast<std::size_t>(batch_)) {
    batch_spec_.shift = options.shift;
    batch_spec_.flip = options.flip;
    batch_spec_.seed = seed;
    input_ = [this](std::int64_t first, std::int64_t count, float* out) {
      fill_batch(data_.train, batch_spec_,
                 batch_indices().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), out);
    };
  }

  /// Infeasible: the loss is not finite.
  Expected<TrainResult, Infeasible> run(const ProgressSink& progress, const std::stop_token& stop,
                                        const std::string& checkpoint, std::uint64_t key) {
    if (!checkpoint.empty()) {
      position_ = load_checkpoint(checkpoint, key, parameters_, optimizer_).value_or(TrainPosition{});
    }
    const auto save = [&] {
      if (!checkpoint.empty()) {
        save_checkpoint(checkpoint, key, position_, parameters_, optimizer_);
      }
    };
    const std::int64_t progress_interval = std::max<std::int64_t>(1, steps_ / kProgressCalls);
    while (position_.step < steps_) {
      if (stop.stop_requested()) {
        save();
        return TrainResult{.train_loss = mean_loss(), .steps = position_.step, .stopped = true};
      }
      if (const double loss = step(); !std::isfinite(loss)) {
        return Unexpected{Infeasible{
            {}, fmt::format("training diverged: the loss is {} at step {} of {}", loss, position_.step, steps_)}};
      }
      if (progress && (position_.step % progress_interval == 0 || position_.step == steps_)) {
        progress({.step = position_.step, .steps = steps_, .loss = mean_loss()});
      }
      if (position_.step % steps_per_epoch_ == 0 || position_.step == steps_) {
        save();
      }
    }
    return TrainResult{.train_loss = mean_loss(), .steps = position_.step};
  }

 private:
  [[nodiscard]] std::span<const std::int64_t> batch_indices() const {
    const std::int64_t first = position_.step % steps_per_epoch_ * batch_;
    return std::span(order_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(batch_));
  }
  [[nodiscard]] double mean_loss() const {
    return position_.epoch_steps == 0 ? 0.0 : position_.epoch_loss / static_cast<double>(position_.epoch_steps);
  }

  /// Runs step `position_.step` and moves on. Returns its loss.
  double step() {
    const std::int64_t epoch = position_.step / steps_per_epoch_;
    if (epoch != order_epoch_) {
      order_ = epoch_order(subset_, seed_, epoch);
      order_epoch_ = epoch;
    }
    if (position_.step % steps_per_epoch_ == 0) {
      position_.epoch_loss = 0.0;
      position_.epoch_steps = 0;
    }
    batch_spec_.epoch = epoch;
    const auto indices = batch_indices();
    std::transform(indices.begin(), indices.end(), labels_.begin(),
                   [&](std::int64_t i) { return data_.train.labels[static_cast<std::size_t>(i)]; });
    const double loss = executor_.step(input_, labels_, options_.label_smoothing);
    optimizer_.update(position_.step, learning_rate_at(options_, position_.step, steps_), executor_.gradients(),
                      parameters_);
    position_.epoch_loss += loss;
    ++position_.epoch_steps;
    ++position_.step;
    return loss;
  }

  const TaskData& data_;
  TrainOptions options_;
  std::uint64_t seed_;
  Parameters& parameters_;
  std::vector<std::int64_t> subset_;
  std::int64_t batch_;
  std::int64_t steps_per_epoch_;
  std::int64_t steps_;
  TrainingExecutor executor_;
  Optimizer optimizer_;
  BatchSpec batch_spec_;
  std::vector<std::uint8_t> labels_;
  std::vector<std::int64_t> order_;
  std::int64_t order_epoch_ = -1;
  InputSource input_;
  TrainPosition position_;
};

}  // namespace

Expected<TrainResult, Infeasible> train(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& evaluate,
                                        const TrainOptions& options, std::uint64_t seed, WeightStore& store,
                                        const ProgressSink& progress, std::stop_token stop,
                                        const Checkpoint& checkpoint) {
  check_fit(graph, data.train);
  check_fit(graph, evaluate);
  if (data.train.size() == 0) {
    throw ConfigError("", fmt::format("data set {} has no training samples", data.name));
  }
  Parameters parameters(graph);
  parameters.load(store);
  const std::uint64_t key = checkpoint.path.empty() ? 0 : training_key(graph, data, options, seed, parameters);
  Training training(graph, data, options, seed, parameters);
  auto result = training.run(progress, stop, checkpoint.path, key);
  if (result && !result->stopped) {
    parameters.save(store);
    result->accuracy = accuracy(graph, data, evaluate, parameters, options.evaluate_samples);
  }
  return result;
}

double evaluate_accuracy(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                         const WeightStore& store, std::int64_t samples) {
  check_fit(graph, split);
  Parameters parameters(graph);
  parameters.load(store);
  return accuracy(graph, data, split, parameters, samples);
}

std::string trainer_fingerprint() { return fmt::format("trainer {} {}", kCodeVersion, kernels::dense().name()); }

}  // namespace cosearch
