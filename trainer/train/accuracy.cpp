#include "trainer/train/accuracy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

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
  const graph::Shape expected = TaskShape{dataset.sample, dataset.classes, dataset.dense}.output();
  if (output != expected) {
    const std::string pixels =
        dataset.dense ? fmt::format(" for each of {} x {} pixels", expected[0], expected[1]) : std::string();
    throw ConfigError("", fmt::format("network {} ends with shape ({}); the data set has {} classes{}", graph.name,
                                      fmt::join(output, ", "), dataset.classes, pixels));
  }
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
  const std::int64_t labels = split.labels_per_sample();
  const std::int64_t width = labels * split.classes;
  const std::int64_t block = std::clamp<std::int64_t>(kEvaluateOutputs / width, 1, kEvaluateBlock);
  std::vector<std::int64_t> indices;
  std::vector<float> outputs(static_cast<std::size_t>(block * width));
  const InputSource input = [&](std::int64_t first, std::int64_t size, float* out) {
    fill_batch(split, spec, std::span(indices).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)),
               out);
  };
  Confusion confusion(split.classes);
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t size = std::min(block, count - begin);
    indices.resize(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) {
      indices[static_cast<std::size_t>(i)] = begin + i;
    }
    run(input, size, outputs.data());
    confusion.add(std::span(outputs).first(static_cast<std::size_t>(size * width)),
                  std::span(split.labels)
                      .subspan(static_cast<std::size_t>(begin * labels), static_cast<std::size_t>(size * labels)));
  }
  return split.dense ? confusion.mean_intersection_over_union() : confusion.accuracy();
}

}  // namespace cosearch
