#include "trainer/net/simulation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

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

/// The problem at the weights that are left of its own.
GradientProblem rounded(GradientProblem problem, bool embeddings) {
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
    if (embeddings && std::holds_alternative<graph::PositionEmbed>(found->op)) {
      round_channels(problem.weights.at(spec.name), 1, 127.0);
    }
  }
  return problem;
}

std::vector<graph::NetworkGraph> networks() {
  return {test_networks::cnn({6, 5, 2}, 4, 4), test_networks::vit({8, 8, 1}, 4, 4, 8, 1, 2)};
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
    const ValueObserver observer = [&](int which, std::span<const float> values) {
      const std::lock_guard guard(mutex);
      if (which == static_cast<int>(node)) {
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
