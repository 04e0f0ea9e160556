#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "tests/oracle/naive_moe.hpp"
#include "tests/oracle/naive_network.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"

/// One training step of a network: by the trainer, and by the naive double-precision network.
namespace cosearch {

struct GradientProblem {
  graph::NetworkGraph graph;
  std::int64_t batch;
  std::int64_t labels_per_sample;
  double label_smoothing = 0.1;
  bool batch_statistics = true;  ///< of batch norms; else the running ones
  oracle::Weights weights;
  std::vector<double> input;
  std::vector<std::uint8_t> labels;
  std::optional<std::uint64_t> noise_seed = std::nullopt;  ///< of routers

  /// Samples of a chunk of the trainer: the sets of the balance loss.
  static constexpr std::int64_t kChunk = 8;

  GradientProblem(graph::NetworkGraph network, std::int64_t batch_size, std::uint64_t seed, std::int64_t positions = 1)
      : graph(std::move(network)),
        batch(batch_size),
        labels_per_sample(positions),
        weights(oracle::random_weights(graph, seed)) {
    // Values that both precisions share.
    for (auto& [name, values] : weights) {
      round_to_float(values);
    }
    input = oracle::random_input(graph, batch, seed);
    round_to_float(input);
    for (std::int64_t i = 0; i < batch * labels_per_sample; ++i) {
      labels.push_back(static_cast<std::uint8_t>(i * 7 % classes()));
    }
  }

  static void round_to_float(std::vector<double>& values) {
    for (double& value : values) {
      value = static_cast<double>(static_cast<float>(value));
    }
  }

  [[nodiscard]] std::int64_t classes() const {
    const auto shapes = graph::infer_shapes(graph);
    return graph::elements(shapes.value().back()) / labels_per_sample;
  }

  /// Mean softmax cross entropy with label smoothing of the naive network, and what its mixtures of experts add.
  [[nodiscard]] double loss(const oracle::Weights& at) const {
    const oracle::Forward result = oracle::forward(graph, at, input, batch, batch_statistics, noise_seed);
    const std::vector<double>& logits = result.nodes.at(graph.nodes.back().name).values;
    const auto width = static_cast<std::size_t>(classes());
    double loss = oracle::balance_loss(graph, result, batch, kChunk);
    for (std::size_t n = 0; n < labels.size(); ++n) {
      double sum = 0.0;
      for (std::size_t c = 0; c < width; ++c) {
        sum += std::exp(logits[n * width + c]);
      }
      for (std::size_t c = 0; c < width; ++c) {
        const double target =
            (labels[n] == c ? 1.0 - label_smoothing : 0.0) + label_smoothing / static_cast<double>(width);
        loss -= target * (logits[n * width + c] - std::log(sum)) / static_cast<double>(labels.size());
      }
    }
    return loss;
  }

  /// Central difference of the naive loss by one element of one weight.
  [[nodiscard]] double difference(const std::string& weight, std::size_t element) const {
    constexpr double kStep = 1e-5;
    oracle::Weights at = weights;
    at.at(weight)[element] += kStep;
    const double above = loss(at);
    at.at(weight)[element] -= 2.0 * kStep;
    return (above - loss(at)) / (2.0 * kStep);
  }

  void load(Parameters& parameters) const {
    for (const Parameters::Entry& entry : parameters.entries()) {
      const std::vector<double>& values = weights.at(entry.spec.name);
      for (std::size_t i = 0; i < values.size(); ++i) {
        parameters.values()[static_cast<std::size_t>(entry.offset) + i] = static_cast<float>(values[i]);
      }
    }
  }

  [[nodiscard]] InputSource source() const {
    return [this](std::int64_t first, std::int64_t count, float* out) {
      const std::int64_t size = static_cast<std::int64_t>(input.size()) / batch;
      for (std::int64_t i = 0; i < count * size; ++i) {
        out[i] = static_cast<float>(input[static_cast<std::size_t>(first * size + i)]);
      }
    };
  }
};

/// What the trainer makes of the problem.
struct TrainerStep {
  double loss = 0.0;
  std::map<std::string, std::vector<float>> gradients;  ///< of trainable weights
  std::map<std::string, std::vector<float>> states;     ///< after the step
};

inline TrainerStep trainer_step(const GradientProblem& problem, const Simulation& simulation = {}) {
  Parameters parameters(problem.graph);
  problem.load(parameters);
  TrainingExecutor executor(problem.graph, parameters, problem.batch, std::make_shared<TrainingMemory>(), simulation);
  TrainerStep result;
  result.loss = executor.step(
      problem.source(),
      {.labels = problem.labels, .label_smoothing = problem.label_smoothing, .noise_seed = problem.noise_seed});
  for (const Parameters::Entry& entry : parameters.entries()) {
    const std::span<const float> from = entry.spec.trainable ? executor.gradients() : parameters.values();
    auto& target = entry.spec.trainable ? result.gradients : result.states;
    const auto part = from.subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
    target[entry.spec.name].assign(part.begin(), part.end());
  }
  return result;
}

/// Of the largest gradient of a weight tensor: single precision over some hundred summands.
inline constexpr double kGradientTolerance = 1e-4;

/// The step's loss is the naive network's at the problem's weights, its gradients are the central differences there.
inline void expect_gradients_match(const TrainerStep& step, const GradientProblem& problem) {
  EXPECT_NEAR(step.loss, problem.loss(problem.weights), 1e-4);
  for (const auto& [name, gradient] : step.gradients) {
    std::vector<double> expected;
    double largest = 1e-2;
    // Every element of small tensors, every seventh of large ones: the index walks through all axes.
    const std::size_t stride = gradient.size() > 200 ? 7 : 1;
    for (std::size_t i = 0; i < gradient.size(); i += stride) {
      expected.push_back(problem.difference(name, i));
      largest = std::max(largest, std::abs(expected.back()));
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(gradient[i * stride]), expected[i], kGradientTolerance * largest)
          << name << " element " << i * stride;
    }
  }
}

}  // namespace cosearch
