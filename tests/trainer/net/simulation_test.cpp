#include "trainer/net/simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "tests/oracle/random_network.hpp"
#include "tests/trainer/ops/gradient_problem.hpp"
#include "tests/trainer/train/networks.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kBatch = 11;

graph::NetworkGraph with_bits(graph::NetworkGraph network, std::int64_t bits) {
  for (graph::Node& node : network.nodes) {
    std::visit(
        [bits](auto& op) {
          if constexpr (requires { op.weight_bits; }) {
            op.weight_bits = bits;
          }
        },
        node.op);
  }
  return network;
}

/// `weight`, (..., channels): multiples of each channel's largest magnitude / steps.
void round_channels(std::vector<double>& weight, std::size_t channels, double steps) {
  for (std::size_t c = 0; c < channels; ++c) {
    double largest = 0.0;
    for (std::size_t i = c; i < weight.size(); i += channels) {
      largest = std::max(largest, std::abs(weight[i]));
    }
    for (std::size_t i = c; i < weight.size(); i += channels) {
      weight[i] = std::floor(weight[i] / largest * steps + 0.5) * largest / steps;
    }
  }
}

/// Of a mixture of experts: `router` (C, E) in one channel, `w1` (E, C, H) for each expert and hidden value, `w2`
/// (E, H, C) for each output of all experts.
void round_mixture(const std::string& weight, const graph::MoeFfn& op, std::vector<double>& values) {
  if (weight == "router") {
    round_channels(values, 1, 127.0);
  } else if (weight == "w1") {
    const auto size = std::ssize(values) / op.experts;
    for (auto first = values.begin(); first != values.end(); first += size) {
      std::vector<double> expert(first, first + size);
      round_channels(expert, static_cast<std::size_t>(op.hidden), 127.0);
      std::copy(expert.begin(), expert.end(), first);
    }
  } else if (weight == "w2") {
    round_channels(values, values.size() / static_cast<std::size_t>(op.experts * op.hidden), 127.0);
  }
}

/// The problem at the weights that are left of its own; `all`: of those of 8 bits too.
GradientProblem rounded(GradientProblem problem, bool all) {
  for (const graph::WeightSpec& spec : graph::weights(problem.graph)) {
    const std::string node = spec.name.substr(0, spec.name.rfind('.'));
    const auto found = std::find_if(problem.graph.nodes.begin(), problem.graph.nodes.end(),
                                    [&](const graph::Node& candidate) { return candidate.name == node; });
    std::visit(
        [&](const auto& op) {
          if constexpr (requires { op.weight_bits; }) {
            if (spec.name.ends_with(".weight")) {
              round_channels(problem.weights.at(spec.name), static_cast<std::size_t>(spec.shape().back()),
                             op.weight_bits == 4 ? 7.0 : 127.0);
            }
          }
        },
        found->op);
    if (all && std::holds_alternative<graph::PositionEmbed>(found->op)) {
      round_channels(problem.weights.at(spec.name), 1, 127.0);
    }
    if (const auto* moe = std::get_if<graph::MoeFfn>(&found->op); moe != nullptr && all) {
      round_mixture(spec.name.substr(node.size() + 1), *moe, problem.weights.at(spec.name));
    }
  }
  return problem;
}

std::vector<graph::NetworkGraph> networks() {
  return {test_networks::cnn({6, 5, 2}, 4, 4), test_networks::vit({8, 8, 1}, 4, 4, 8, 1, 2), oracle::small_mixture()};
}

/// All of the network's values keep their bits.
Simulation without_grids(const graph::NetworkGraph& network) {
  return {std::vector<std::optional<ValueGrid>>(network.nodes.size())};
}

TEST(Simulation, GradientsAtFourBitsAreThoseOfTheRoundedNetwork) {
  for (const graph::NetworkGraph& network : networks()) {
    const GradientProblem problem(with_bits(network, 4), kBatch, 3);
    expect_gradients_match(trainer_step(problem), rounded(problem, false));
  }
}

TEST(Simulation, GradientsAtEightBitsAreThoseOfTheRoundedNetworkWithRunningStatistics) {
  for (const graph::NetworkGraph& network : networks()) {
    const GradientProblem problem(network, kBatch, 3);
    GradientProblem naive = rounded(problem, true);
    naive.batch_statistics = false;
    const TrainerStep step = trainer_step(problem, without_grids(network));
    expect_gradients_match(step, naive);
    for (const auto& [name, values] : step.states) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        ASSERT_EQ(static_cast<double>(values[i]), problem.weights.at(name)[i]) << name << ": statistics are frozen";
      }
    }
  }
}

TEST(Simulation, EveryValueLiesOnItsGridAndNextToWhatItWas) {
  const graph::NetworkGraph network = test_networks::cnn({6, 5, 2}, 4, 4);
  const GradientProblem problem(network, kBatch, 5);
  Parameters parameters(network);
  problem.load(parameters);
  Simulation simulation = without_grids(network);
  const std::size_t node = 3;  // behind the first batch norm and relu
  const ValueGrid grid{.scale = 0.03F, .zero_point = -128.0F};
  const auto values_with = [&](const Simulation& how) {
    std::vector<float> seen;
    std::mutex mutex;
    const ValueObserver observer = [&](std::size_t which, std::span<const float> values) {
      const std::lock_guard guard(mutex);
      if (which == node) {
        seen.assign(values.begin(), values.end());
      }
    };
    InferenceExecutor executor(network, parameters, how, observer);
    std::vector<float> outputs(static_cast<std::size_t>(kBatch) * 4);
    executor.run(problem.source(), kBatch, outputs.data());
    return seen;
  };
  const std::vector<float> exact = values_with(simulation);
  simulation.grids[node] = grid;
  const std::vector<float> on_grid = values_with(simulation);
  ASSERT_EQ(exact.size(), on_grid.size());
  ASSERT_EQ(exact.size(), static_cast<std::size_t>(kBatch * 6 * 5 * 4));
  int changed = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const float steps = on_grid[i] / grid.scale;
    EXPECT_NEAR(steps, std::round(steps), 1e-3F);
    EXPECT_LE(on_grid[i], grid.scale * 255.0F);
    EXPECT_GE(on_grid[i], 0.0F);
    EXPECT_NEAR(on_grid[i], std::min(exact[i], grid.scale * 255.0F), 0.501F * grid.scale);
    changed += on_grid[i] != exact[i] ? 1 : 0;
  }
  EXPECT_GT(changed, 0);
}

TEST(Simulation, WhatExpertsPassToGeluAndWhatComesOutLieOnTheirGrids) {
  graph::Builder builder("alone", {4, 3});
  builder.then("moe", graph::MoeFfn{.experts = 1, .top_k = 1, .hidden = 3});
  const graph::NetworkGraph network = std::move(builder).finish();
  GradientProblem problem(network, kBatch, 5, 4);
  std::vector<double>& w2 = problem.weights.at("moe.w2");
  for (std::size_t i = 0; i < w2.size(); ++i) {
    w2[i] = i % 4 == 0 ? 1.0 : 0.0;  // the hidden values themselves come out
  }
  std::fill(problem.weights.at("moe.b2").begin(), problem.weights.at("moe.b2").end(), 0.0);
  Parameters parameters(network);
  problem.load(parameters);
  Simulation simulation = without_grids(network);
  simulation.hidden = {std::nullopt, HiddenGrids{{0.05F, 10.0F}, {0.02F, -120.0F}}};
  std::vector<float> before;
  std::mutex mutex;
  const ValueObserver observer = [&](std::size_t which, std::span<const float> values) {
    const std::lock_guard guard(mutex);
    if (which == 2) {
      before.insert(before.end(), values.begin(), values.end());
    }
  };
  InferenceExecutor executor(network, parameters, simulation, observer);
  std::vector<float> outputs(static_cast<std::size_t>(kBatch) * 4 * 3);
  executor.run(problem.source(), kBatch, outputs.data());
  ASSERT_EQ(before.size(), outputs.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(before[i] / 0.05F, std::round(before[i] / 0.05F), 1e-3F);
    const auto x = static_cast<double>(before[i]);
    const double y = std::clamp(x * 0.5 * std::erfc(-x / std::sqrt(2.0)), 0.02 * (-128 + 120), 0.02 * (127 + 120));
    EXPECT_NEAR(static_cast<double>(outputs[i]) / 0.02, std::round(static_cast<double>(outputs[i]) / 0.02), 1e-3);
    EXPECT_NEAR(static_cast<double>(outputs[i]), y, 0.501 * 0.02);
  }
}

TEST(Simulation, InferenceUsesFourBitWeightsToo) {
  const graph::NetworkGraph network = test_networks::vit({8, 8, 1}, 4, 4, 8, 1, 2);
  const GradientProblem problem(with_bits(network, 4), kBatch, 7);
  const auto outputs_of = [](const GradientProblem& from) {
    Parameters parameters(from.graph);
    from.load(parameters);
    InferenceExecutor executor(from.graph, parameters);
    std::vector<float> outputs(static_cast<std::size_t>(kBatch) * 4);
    executor.run(from.source(), kBatch, outputs.data());
    return outputs;
  };
  GradientProblem plain = rounded(problem, false);
  plain.graph = network;
  const std::vector<float> narrow = outputs_of(problem);
  const std::vector<float> wide = outputs_of(plain);
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    EXPECT_NEAR(narrow[i], wide[i], 1e-4F * (1.0F + std::abs(wide[i])));
  }
}

}  // namespace
}  // namespace cosearch
