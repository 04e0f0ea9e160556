#include "trainer/train/accuracy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/train/batch_sequence.hpp"
#include "trainer/train/confusion.hpp"

namespace cosearch {
namespace {

/// Samples, and outputs of all of them, evaluated at a time, so that those of a large split need not be in memory at
/// once.
constexpr std::int64_t kEvaluateBlock = 1024;
constexpr std::int64_t kEvaluateOutputs = std::int64_t{1} << 24U;

std::optional<std::int64_t> patch_of(const graph::Shape& output, const Dataset& dataset) {
  return output_patch(output, dataset.sample, {"", dataset.classes, dataset.dense});
}

void check_split(const graph::NetworkGraph& graph, const Dataset& dataset) {
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
  if (!patch_of(output, dataset)) {
    const std::string pixels = dataset.dense
                                   ? fmt::format(" for each of {} x {} pixels", dataset.sample[0], dataset.sample[1])
                                   : std::string();
    throw ConfigError("", fmt::format("network {} ends with shape ({}); the data set has {} classes{}", graph.name,
                                      fmt::join(output, ", "), dataset.classes, pixels));
  }
}

/// Outputs of a split, and what they should be, in the same order.
class Comparison {
 public:
  Comparison(const Dataset& split, std::int64_t patch)
      : split_(split), spec_{.input = {}, .label_patch = patch}, confusion_(std::max<std::int64_t>(split.classes, 1)) {}

  void add(std::span<const float> outputs, std::span<const std::int64_t> samples) {
    const std::size_t targets = samples.size() * static_cast<std::size_t>(split_.labels_per_sample());
    if (!split_.regression) {
      labels_.resize(targets);
      fill_labels(split_, spec_, samples, labels_);
      confusion_.add(outputs, labels_);
      return;
    }
    values_.resize(targets);
    fill_values(split_, spec_, samples, values_);
    for (std::size_t i = 0; i < targets; ++i) {
      const double difference = static_cast<double>(outputs[i]) - static_cast<double>(values_[i]);
      squares_ += difference * difference;
    }
    count_ += targets;
  }

  [[nodiscard]] double result() const {
    if (split_.regression) {
      return std::sqrt(squares_ / static_cast<double>(count_));
    }
    return split_.dense ? confusion_.mean_intersection_over_union() : confusion_.accuracy();
  }

 private:
  const Dataset& split_;
  BatchSpec spec_;
  Confusion confusion_;
  std::vector<std::uint8_t> labels_;
  std::vector<float> values_;
  double squares_ = 0.0;
  std::size_t count_ = 0;
};

}  // namespace

std::int64_t label_patch(const graph::NetworkGraph& graph, const Dataset& split) {
  const auto shapes = graph::infer_shapes(graph);
  COSEARCH_CHECK(shapes.has_value(), "a malformed network reached the trainer");
  const auto patch = patch_of((*shapes)[static_cast<std::size_t>(graph.outputs.front())], split);
  COSEARCH_CHECK(patch.has_value(), "a network that does not fit its data reached the trainer");
  return *patch;
}

void check_fit(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split) {
  check_split(graph, data.train);
  check_split(graph, split);
  if (data.train.size() == 0) {
    throw ConfigError("", fmt::format("data set {} has no training samples", data.name));
  }
}

void check_classes(const TaskData& data) {
  if (data.train.regression) {
    throw ConfigError("",
                      fmt::format("data set {} has numbers to learn, not classes; list it under \"tasks\"", data.name));
  }
}

double accuracy(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                const Parameters& parameters, std::int64_t samples, const Simulation& simulation) {
  InferenceExecutor executor(graph, parameters, simulation);
  return accuracy_of(
      [&](const InputSource& input, std::int64_t count, float* outputs) { executor.run(input, count, outputs); }, graph,
      data, split, samples);
}

double accuracy_of(const BatchRunner& run, const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                   std::int64_t samples) {
  const std::int64_t count = samples > 0 ? std::min(samples, split.size()) : split.size();
  if (count == 0) {
    return 0.0;
  }
  const BatchSpec spec = plain_batches(input_shape(graph), data);
  const std::int64_t width = split.labels_per_sample() * split.classes;
  const std::int64_t block = std::clamp<std::int64_t>(kEvaluateOutputs / width, 1, kEvaluateBlock);
  std::vector<std::int64_t> indices;
  std::vector<float> outputs(static_cast<std::size_t>(block * width));
  const InputSource input = [&](std::int64_t first, std::int64_t size, float* out) {
    fill_batch(split, spec, std::span(indices).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)),
               out);
  };
  Comparison comparison(split, label_patch(graph, split));
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t size = std::min(block, count - begin);
    indices.resize(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) {
      indices[static_cast<std::size_t>(i)] = begin + i;
    }
    run(input, size, outputs.data());
    comparison.add(std::span(outputs).first(static_cast<std::size_t>(size * width)), indices);
  }
  return comparison.result();
}

}  // namespace cosearch
