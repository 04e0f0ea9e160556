#include "trainer/moe/routing.hpp"

#include <gtest/gtest.h>

#include <tbb/global_control.h>

#include <set>

#include "tests/trainer/ops/gradient_problem.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/kernels/moe.hpp"

namespace cosearch {
namespace {

graph::NetworkGraph mixture(graph::MoeFfn op) {
  graph::Builder b("mixture", {5, 4});
  b.then("first", graph::Linear{.out_factors = {6}});
  b.then("moe", op);
  test_networks::classifier(b, 3);
  return std::move(b).finish();
}

// More samples than a block of the histogram and a chunk of the executor.
TEST(Routing, HistogramsAndTracesAreThoseOfTheNaiveNetwork) {
  const GradientProblem problem(mixture({.experts = 4, .top_k = 2, .hidden = 3}), 300, 5);
  Parameters parameters(problem.graph);
  problem.load(parameters);
  const oracle::Forward naive =
      oracle::forward(problem.graph, problem.weights, problem.input, problem.batch, /*training=*/false);
  EXPECT_EQ(moe::routing_histograms(problem.graph, parameters, problem.source(), problem.batch),
            oracle::token_histograms(naive, problem.batch));

  const auto traces = moe::trace_routing(problem.graph, parameters, problem.source(), 20);
  ASSERT_EQ(traces.size(), 1U);
  const oracle::Mixture& expected = naive.mixtures.at("moe");
  ASSERT_EQ(traces[0].picks.size(), 20U * 5U * 2U);
  for (std::size_t row = 0; row < 20U * 5U; ++row) {
    const auto first = static_cast<std::size_t>(traces[0].picks[2 * row]);
    const auto second = static_cast<std::size_t>(traces[0].picks[2 * row + 1]);
    EXPECT_NE(first, second);
    EXPECT_TRUE(expected.chosen[row * 4 + first] && expected.chosen[row * 4 + second]) << row;
    EXPECT_GE(expected.kept[row * 4 + first], expected.kept[row * 4 + second]) << row;
  }
}

TEST(Routing, HistogramsOfOneTaskOfSeveralHaveItsKey) {
  const GradientProblem problem(mixture({.experts = 3, .hidden = 2, .tasks = 4, .task = 2}), 3, 1);
  Parameters parameters(problem.graph);
  problem.load(parameters);
  EXPECT_TRUE(moe::routing_histograms(problem.graph, parameters, problem.source(), 3).contains("moe.tokens_2"));
}

TEST(Routing, OfEqualScoresTheLowerExpertIsChosenAndPairsAreSortedByExpertThenToken) {
  const kernels::MoeShape shape{.rows = 3, .experts = 4, .top_k = 2};
  const std::vector<float> scores = {1, 1, 1, 1, 0, 2, 3, 2, 5, 0, 0, 5};
  std::vector<std::int32_t> picks(6), begin(5), tokens(6);
  kernels::top_k(shape, scores.data(), picks.data());
  EXPECT_EQ(picks, (std::vector<std::int32_t>{0, 1, 2, 1, 0, 3}));
  kernels::sort_by_expert(shape, picks.data(), begin.data(), tokens.data());
  EXPECT_EQ(begin, (std::vector<std::int32_t>{0, 2, 4, 5, 6}));
  EXPECT_EQ(tokens, (std::vector<std::int32_t>{0, 2, 0, 1, 1, 2}));
}

// The noise of a sample is a function of seed, node and sample, so threads change nothing, and another seed does.
TEST(Routing, NoisyStepsHaveTheSameBitsForAnyNumberOfThreads) {
  GradientProblem problem(mixture({.experts = 4, .top_k = 2, .hidden = 3, .noise = 1.0}), 37, 5);
  problem.noise_seed = 3;
  const auto step = [&](std::size_t threads) {
    const tbb::global_control control(tbb::global_control::max_allowed_parallelism, threads);
    return trainer_step(problem);
  };
  const TrainerStep one = step(1);
  const TrainerStep two = step(2);
  EXPECT_EQ(one.loss, two.loss);
  EXPECT_EQ(one.gradients, two.gradients);
  problem.noise_seed = 4;
  EXPECT_NE(step(1).gradients, one.gradients);
}

}  // namespace
}  // namespace cosearch
