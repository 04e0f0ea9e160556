#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "spaces/graph/graph.hpp"
#include "spaces/ir/interpreter.hpp"
#include "tests/oracle/naive_moe.hpp"
#include "tests/oracle/naive_network.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch::graph {
namespace {

constexpr double kLearningRate = 0.25;

/// A graph with weights, an input and a linear loss: the sum over all outputs of coefficient * value.
struct Problem {
  NetworkGraph graph;
  std::int64_t batch = 1;
  oracle::Weights weights;
  std::vector<double> input;
  std::map<std::string, std::vector<double>> coefficients;  ///< by output node

  Problem(NetworkGraph g, std::int64_t batch_size, std::uint64_t seed)
      : graph(std::move(g)), batch(batch_size), weights(oracle::random_weights(graph, seed)) {
    input = oracle::random_input(graph, batch, seed);
    const auto shapes = infer_shapes(graph);
    std::uint64_t stream = 2;
    for (const int output : graph.outputs) {
      const auto index = static_cast<std::size_t>(output);
      coefficients[graph.nodes[index].name] =
          oracle::random_values(batch * elements(shapes.value()[index]), seed, stream++);
    }
  }

  [[nodiscard]] double loss(const oracle::Weights& at) const {
    const oracle::Forward result = oracle::forward(graph, at, input, batch, true);
    double sum = oracle::balance_loss(graph, result, batch, batch);
    for (const auto& [output, factors] : coefficients) {
      for (std::size_t i = 0; i < factors.size(); ++i) {
        sum += factors[i] * result.nodes.at(output).values[i];
      }
    }
    return sum;
  }

  /// Central difference by one element of one weight.
  [[nodiscard]] double difference(const std::string& weight, std::size_t element) const {
    constexpr double kStep = 1e-5;
    oracle::Weights at = weights;
    at.at(weight)[element] = weights.at(weight)[element] + kStep;
    const double above = loss(at);
    at.at(weight)[element] = weights.at(weight)[element] - kStep;
    return (above - loss(at)) / (2.0 * kStep);
  }

  [[nodiscard]] std::map<std::string, ir::Values> given(const ir::Workload& workload) const {
    std::map<std::string, ir::Values> result;
    for (const ir::Tensor& tensor : workload.tensors) {
      if (tensor.name == "input") {
        result[tensor.name] = {tensor.shape, input};
      } else if (tensor.name == "learning_rate") {
        result[tensor.name] = {tensor.shape, {kLearningRate}};
      } else if (weights.contains(tensor.name)) {
        result[tensor.name] = {tensor.shape, weights.at(tensor.name)};
      }
    }
    for (const auto& [output, factors] : coefficients) {
      for (const ir::Tensor& tensor : workload.tensors) {
        if (tensor.name == output + ".gradient") {
          result[tensor.name] = {tensor.shape, factors};
        }
      }
    }
    return result;
  }
};

/// Forward values, gradients of all trainable weights, updated weights and updated statistics.
void expect_training_step_is_right(const Problem& problem) {
  const oracle::Forward naive = oracle::forward(problem.graph, problem.weights, problem.input, problem.batch, true);
  const ir::Workload workload =
      lower(problem.graph, Phase::training, problem.batch, {}, oracle::token_histograms(naive, problem.batch));
  SCOPED_TRACE(ir::to_text(workload));
  ASSERT_THAT(ir::validate(workload), testing::IsEmpty());
  const auto tensors = ir::interpret(workload, problem.given(workload));
  ASSERT_TRUE(tensors.has_value()) << tensors.error();

  for (const auto& [name, values] : naive.nodes) {
    for (std::size_t i = 0; i < values.values.size(); ++i) {
      ASSERT_NEAR(tensors->at(name).data.at(i), values.values[i], 1e-9 * (1.0 + std::abs(values.values[i]))) << name;
    }
  }
  for (const auto& [name, values] : naive.states) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(tensors->at(name + ".updated").data.at(i), values[i], 1e-9) << name;
    }
  }
  for (const WeightSpec& spec : weights(problem.graph)) {
    ASSERT_EQ(tensors->contains(spec.name + ".gradient"), spec.trainable) << spec.name;
    for (std::size_t i = 0; spec.trainable && i < static_cast<std::size_t>(spec.elements()); ++i) {
      const double expected = problem.difference(spec.name, i);
      const double gradient = tensors->at(spec.name + ".gradient").data.at(i);
      ASSERT_NEAR(gradient, expected, 2e-7 * (1.0 + std::abs(expected))) << spec.name << " element " << i;
      ASSERT_NEAR(tensors->at(spec.name + ".updated").data.at(i),
                  problem.weights.at(spec.name)[i] - kLearningRate * gradient, 1e-12);
    }
  }
}

TEST(LowerTraining, GradientsEqualFiniteDifferencesForEveryOperator) {
  for (std::size_t kind = 1; kind < oracle::kOperatorKinds; ++kind) {
    for (std::uint64_t seed = 0; seed < 15; ++seed) {
      // A batch of one gives batch norms on vectors a variance of zero and no gradient to speak of.
      expect_training_step_is_right(
          Problem{oracle::random_operator(kind, seed, true), 2 + static_cast<std::int64_t>(seed % 2), seed});
      if (HasFatalFailure()) {
        return;
      }
    }
  }
}

TEST(LowerTraining, GradientsEqualFiniteDifferencesForNetworks) {
  expect_training_step_is_right(Problem{oracle::small_residual_network(), 3, 11});
  expect_training_step_is_right(Problem{oracle::small_transformer(), 2, 12});
  expect_training_step_is_right(Problem{oracle::small_u_net(), 2, 13});
  expect_training_step_is_right(Problem{oracle::small_text_network(), 2, 14});
}

TEST(LowerTraining, GradientsOfSeveralConsumersAddUp) {
  Builder b{"consumers", {5, 5, 2}};
  const int shared = b.then("shared", Conv2d{.out_channels = 2, .bias = true});
  const int twice = b.add("twice", Add{}, {shared, shared});
  // A stride beyond the kernel leaves gaps; as first and as later consumer.
  const int sparse = b.add("sparse", Conv2d{.out_channels = 2, .stride = 2}, {shared});
  const int pooled = b.add("pooled", Pool2d{.kind = PoolKind::max, .kernel = 1, .stride = 2}, {twice});
  b.add("sum", Add{}, {sparse, pooled});
  expect_training_step_is_right(Problem{std::move(b).finish(), 2, 21});
}

TEST(LowerTraining, AConcatPassesEachInputItsPartAndAddsUpWhatOneInputGetsTwice) {
  Builder b{"concat", {3, 2}};
  const int left = b.then("left", Linear{.out_factors = {2}});
  const int right = b.add("right", Linear{.out_factors = {3}}, {0});
  b.add("concat", Concat{}, {left, right, 0, left});
  b.then("act", Activation{ActivationKind::gelu});
  expect_training_step_is_right(Problem{std::move(b).finish(), 2, 22});
}

TEST(LowerTraining, AnOutputThatOthersConsumeAddsItsOwnGradient) {
  Builder b{"tasks", {4}};
  b.then("trunk", Linear{.out_factors = {3}, .in_factors = {}});
  b.then("act", Activation{ActivationKind::gelu});
  b.then("head", Linear{.out_factors = {2}, .in_factors = {}});
  NetworkGraph graph = std::move(b).finish();
  graph.outputs = {1, 3};
  expect_training_step_is_right(Problem{graph, 2, 31});
}

TEST(LowerTraining, NoGradientIsComputedThatNoWeightNeeds) {
  Builder b{"plain", {6, 6, 1}};
  b.then("act", Activation{});
  b.then("conv", Conv2d{.out_channels = 2, .kernel_h = 3, .kernel_w = 3});
  const ir::Workload workload = lower(std::move(b).finish(), Phase::training, 1, {});
  std::vector<std::string> names;
  for (const ir::Einsum& einsum : workload.einsums) {
    names.push_back(einsum.name);
  }
  EXPECT_THAT(names,
              testing::ElementsAre("act", "conv", "conv.weight.gradient", "conv.weight.step", "conv.weight.updated"));
}

TEST(LowerTraining, OutputsAreTheNetworksOutputsUpdatedStatesAndUpdatedWeights) {
  Builder b{"norm", {3, 3, 2}};
  b.then("conv", Conv2d{.out_channels = 2});
  b.then("norm", BatchNorm{});
  const ir::Workload workload = lower(std::move(b).finish(), Phase::training, 2, {});
  const auto names = [&](const std::vector<int>& tensors) {
    std::vector<std::string> result;
    for (const int tensor : tensors) {
      result.push_back(workload.tensors[static_cast<std::size_t>(tensor)].name);
    }
    return result;
  };
  EXPECT_THAT(names(workload.inputs), testing::ElementsAre("input", "norm.gradient"));
  EXPECT_THAT(names(workload.outputs),
              testing::ElementsAre("norm", "norm.running_mean.updated", "norm.running_variance.updated",
                                   "conv.weight.updated", "norm.scale.updated", "norm.shift.updated"));
}

}  // namespace
}  // namespace cosearch::graph
