#include "trainer/train/accuracy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "spaces/base/config_error.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch {
namespace {

/// Evaluated at a time, so that the resized images of a large split need not be in memory at once.
constexpr std::int64_t kEvaluateBlock = 1024;

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
  if (output != graph::Shape{dataset.classes}) {
    throw ConfigError("", fmt::format("network {} ends with shape ({}); the data set has {} classes", graph.name,
                                      fmt::join(output, ", "), dataset.classes));
  }
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

}  // namespace

void check_fit(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split) {
  check_split(graph, data.train);
  check_split(graph, split);
  if (data.train.size() == 0) {
    throw ConfigError("", fmt::format("data set {} has no training samples", data.name));
  }
}

double accuracy(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                const Parameters& parameters, std::int64_t samples) {
  const std::int64_t count = samples > 0 ? std::min(samples, split.size()) : split.size();
  if (count == 0) {
    return 0.0;
  }
  const BatchSpec spec = plain_batches(input_shape(graph), data);
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

}  // namespace cosearch
