#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>
#include <set>

#include "spaces/base/config_error.hpp"
#include "tests/trainer/ops/gradient_problem.hpp"
#include "tests/trainer/train/networks.hpp"

// Every operator stands between two trainable ones, so that its own weights' gradients and the gradient that it passes
// on are both judged, by central differences of the naive double-precision network. Eleven samples make two chunks of
// different size.

namespace cosearch {
namespace {

using test_networks::classifier;
using test_networks::conv;

constexpr std::int64_t kBatch = 11;

void expect_gradients_match(const GradientProblem& problem) {
  cosearch::expect_gradients_match(trainer_step(problem), problem);
}

struct Case {
  const char* name;
  std::function<void(graph::Builder&)> middle;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class ImageOperatorTest : public testing::TestWithParam<Case> {};

TEST_P(ImageOperatorTest, GradientsMatchFiniteDifferences) {
  graph::Builder b("image", {6, 5, 2});
  b.then("first", conv(b, 6, 1, 1, 1, true));
  GetParam().middle(b);
  classifier(b, 4);
  expect_gradients_match({std::move(b).finish(), kBatch, 3});
}

/// From 6 x 5 to 6 x 4, for patches of 2 x 2.
void make_even(graph::Builder& b) {
  b.then("even", graph::Conv2d{.out_channels = 6, .kernel_h = 1, .kernel_w = 2, .stride = 1});
}

const std::vector<Case> kImageCases = {
    {"conv", [](auto& b) { b.then("op", conv(b, 5, 3, 1)); }},
    {"conv_bias_stride", [](auto& b) { b.then("op", conv(b, 5, 3, 2, 1, true)); }},
    {"conv_valid",
     [](auto& b) { b.then("op", graph::Conv2d{.out_channels = 3, .kernel_h = 2, .kernel_w = 3, .stride = 1}); }},
    {"conv_groups", [](auto& b) { b.then("op", conv(b, 9, 3, 1, 3)); }},
    {"conv_depthwise", [](auto& b) { b.then("op", conv(b, 6, 3, 1, 6)); }},
    {"conv_depthwise_5_stride", [](auto& b) { b.then("op", conv(b, 6, 5, 2, 6)); }},
    {"conv_pointwise", [](auto& b) { b.then("op", conv(b, 7, 1, 1)); }},
    {"linear_on_channels",
     [](auto& b) {
       b.then("op", graph::Linear{{3}, {}});
     }},
    {"linear_without_bias",
     [](auto& b) {
       b.then("op", graph::Linear{{3}, {}, false});
     }},
    {"batch_norm", [](auto& b) { b.then("op", graph::BatchNorm{}); }},
    {"batch_norm_of_a_branch",  // its output has two readers, so that the activation is not fused
     [](auto& b) {
       const int norm = b.then("op", graph::BatchNorm{});
       const int act = b.then("act", graph::Activation{graph::ActivationKind::gelu});
       b.add("add", graph::Add{}, {norm, act});
     }},
    {"batch_norm_relu",
     [](auto& b) {
       b.then("op", graph::BatchNorm{});
       b.then("act", graph::Activation{graph::ActivationKind::relu});
     }},
    {"batch_norm_relu6",
     [](auto& b) {
       b.then("op", graph::BatchNorm{});
       b.then("act", graph::Activation{graph::ActivationKind::relu6});
     }},
    {"batch_norm_hard_swish",
     [](auto& b) {
       b.then("op", graph::BatchNorm{});
       b.then("act", graph::Activation{graph::ActivationKind::hard_swish});
     }},
    {"two_batch_norms",
     [](auto& b) {
       b.then("op1", graph::BatchNorm{});
       b.then("middle", conv(b, 4, 3, 1));
       b.then("op2", graph::BatchNorm{});
     }},
    {"layer_norm", [](auto& b) { b.then("op", graph::LayerNorm{}); }},
    {"relu", [](auto& b) { b.then("op", graph::Activation{graph::ActivationKind::relu}); }},
    {"relu6", [](auto& b) { b.then("op", graph::Activation{graph::ActivationKind::relu6}); }},
    {"hard_swish", [](auto& b) { b.then("op", graph::Activation{graph::ActivationKind::hard_swish}); }},
    {"gelu", [](auto& b) { b.then("op", graph::Activation{graph::ActivationKind::gelu}); }},
    {"max_pool", [](auto& b) { b.then("op", graph::Pool2d{}); }},
    {"max_pool_overlapping",
     [](auto& b) {
       b.then("op", graph::Pool2d{.kind = graph::PoolKind::max, .kernel = 3, .stride = 2, .padding = {1, 1, 1, 1}});
     }},
    {"average_pool",
     [](auto& b) {
       b.then("op", graph::Pool2d{.kind = graph::PoolKind::average, .kernel = 3, .stride = 1, .padding = {1, 1, 1, 1}});
     }},
    {"add_of_branches",
     [](auto& b) {
       const int skip = b.last();
       b.then("branch", conv(b, 6, 3, 1));
       b.add("op", graph::Add{}, {b.last(), skip});
     }},
    {"add_of_a_node_to_itself",
     [](auto& b) {
       b.add("op", graph::Add{}, {b.last(), b.last()});
     }},
    {"three_readers",
     [](auto& b) {
       const int source = b.last();
       const int left = b.add("left", conv(b, 6, 3, 1), {source});
       const int right = b.add("right", graph::Activation{graph::ActivationKind::gelu}, {source});
       const int sum = b.add("sum", graph::Add{}, {left, right});
       b.add("op", graph::Add{}, {source, sum});
     }},
    {"concat",  // unequal widths, one input twice
     [](auto& b) {
       const int source = b.last();
       const int wide = b.add("wide", conv(b, 9, 3, 1), {source});
       const int narrow = b.add("narrow", graph::Linear{{2}, {}}, {source});
       b.add("op", graph::Concat{}, {wide, source, narrow, source});
     }},
    {"concat_of_batch_norms",
     [](auto& b) {
       const int source = b.last();
       const int left = b.then("left", graph::BatchNorm{});
       b.add("right", graph::BatchNorm{}, {source});
       const int right = b.then("act", graph::Activation{graph::ActivationKind::relu});
       b.add("op", graph::Concat{}, {left, right});
       b.then("mixed", conv(b, 4, 3, 1));
     }},
    {"upsample",
     [](auto& b) {
       b.then("op", graph::Upsample{2});
       b.then("mixed", conv(b, 4, 3, 2));
     }},
    {"upsample_by_three_and_by_one",
     [](auto& b) {
       b.then("thrice", graph::Upsample{3});
       b.then("once", graph::Upsample{1});
       b.then("mixed", conv(b, 4, 3, 2));
     }},
    {"patch_embed",
     [](auto& b) {
       make_even(b);
       b.then("op", graph::PatchEmbed{.patch = 2, .embed_dim = 5, .padding = 1});
     }},
    {"position_embed",
     [](auto& b) {
       make_even(b);
       b.then("patches", graph::PatchEmbed{.patch = 2, .embed_dim = 5});
       b.then("op", graph::PositionEmbed{.grid_h = 3, .grid_w = 2});
     }},
    {"attention",
     [](auto& b) {
       make_even(b);
       b.then("patches", graph::PatchEmbed{.patch = 2, .embed_dim = 5});
       b.then("qkv", graph::Linear{{3, 2, 3}, {}});
       b.then("op", graph::MultiHeadAttention{.heads = 2});
     }},
};

void patches_into(graph::Builder& b, graph::MoeFfn op) {
  make_even(b);
  b.then("patches", graph::PatchEmbed{.patch = 2, .embed_dim = 5});
  b.then("op", std::move(op));
}

const std::vector<Case> kMixtureCases = {
    {"moe_ffn", [](auto& b) { patches_into(b, {.experts = 4, .top_k = 2, .hidden = 3, .balance = 0.5}); }},
    {"moe_ffn_dense", [](auto& b) { patches_into(b, {.experts = 3, .top_k = 3, .hidden = 4, .balance = 0.0}); }},
    {"moe_ffn_of_a_task",
     [](auto& b) { patches_into(b, {.experts = 5, .top_k = 1, .hidden = 2, .tasks = 3, .task = 2}); }},
    {"moe_ffn_conditioned",
     [](auto& b) {
       patches_into(b, {.experts = 4,
                        .top_k = 2,
                        .hidden = 3,
                        .tasks = 3,
                        .task = 1,
                        .routing = graph::MoeRouting::conditioned,
                        .embedding = 6,
                        .balance = 1.0});
     }},
};
INSTANTIATE_TEST_SUITE_P(Mixtures, ImageOperatorTest, testing::ValuesIn(kMixtureCases),
                         [](const auto& test) { return std::string(test.param.name); });

// With noise the load has a gradient too.
TEST(OperatorGradients, OfANoisyMixtureMatchFiniteDifferences) {
  graph::Builder b("image", {6, 5, 2});
  b.then("first", conv(b, 6, 1, 1, 1, true));
  patches_into(b, {.experts = 4, .top_k = 2, .hidden = 3, .balance = 1.0, .noise = 1.0});
  classifier(b, 4);
  GradientProblem problem(std::move(b).finish(), kBatch, 3);
  problem.noise_seed = 17;
  const oracle::Forward forward =
      oracle::forward(problem.graph, problem.weights, problem.input, kBatch, true, problem.noise_seed);
  ASSERT_NE(forward.mixtures.at("op").clean, forward.mixtures.at("op").noisy);
  expect_gradients_match(problem);
}

INSTANTIATE_TEST_SUITE_P(Operators, ImageOperatorTest, testing::ValuesIn(kImageCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(OperatorGradients, OfATokenEmbeddingMatchFiniteDifferences) {
  // Some of the twelve tokens come several times in a chunk, some never.
  expect_gradients_match({test_networks::text(5, 12, 4, 3), kBatch, 6});
}

TEST(OperatorGradients, EveryOperatorHasACase) {
  // The first has a test of its own, because it reads the Input only; the other has several cases.
  std::set<std::string> kinds = {"token_embed", "moe_ffn"};
  for (const Case& c : kImageCases) {
    graph::Builder b("image", {6, 5, 2});
    b.then("first", conv(b, 6, 1, 1, 1, true));
    c.middle(b);
    classifier(b, 4);
    const graph::NetworkGraph network = std::move(b).finish();
    for (const graph::Node& node : network.nodes) {
      kinds.insert(graph::kind_name(node.op));
    }
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<graph::Op>);
}

TEST(OperatorGradients, FirstOperatorsNeedNoGradientOfTheInput) {
  const std::vector<std::function<void(graph::Builder&)>> firsts = {
      [](auto& b) { b.then("op", conv(b, 3, 3, 1, 1, true)); },
      [](auto& b) { b.then("op", graph::BatchNorm{}); },
      [](auto& b) { b.then("op", graph::LayerNorm{}); },
      [](auto& b) {
        b.then("op", graph::Linear{{3}, {}});
      },
      [](auto& b) { b.then("op", graph::Pool2d{}); },
      [](auto& b) { b.then("op", graph::Activation{graph::ActivationKind::gelu}); },
      [](auto& b) { b.then("op", graph::PatchEmbed{.patch = 2, .embed_dim = 5}); },
      [](auto& b) {
        b.add("op", graph::Add{}, {0, 0});
      },
  };
  for (const auto& first : firsts) {
    graph::Builder b("first", {4, 6, 3});
    first(b);
    classifier(b, 4);
    expect_gradients_match({std::move(b).finish(), kBatch, 5});
  }
}

TEST(OperatorGradients, WholeNetworksMatchFiniteDifferences) {
  expect_gradients_match({test_networks::cnn({7, 6, 2}, 5, 4), kBatch, 1});
  expect_gradients_match({test_networks::vit({8, 8, 1}, 5, 4, 6, 2, 2), kBatch, 2});
}

TEST(OperatorGradients, RunningStatisticsMoveAsTheNaiveNetworkSays) {
  const GradientProblem problem(test_networks::cnn({7, 6, 2}, 5, 4), kBatch, 1);
  const TrainerStep step = trainer_step(problem);
  const oracle::Forward naive =
      oracle::forward(problem.graph, problem.weights, problem.input, problem.batch, /*training=*/true);
  ASSERT_EQ(step.states.size(), naive.states.size());
  for (const auto& [name, values] : naive.states) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(step.states.at(name)[i]), values[i], 1e-5 * (1.0 + std::abs(values[i]))) << name;
    }
  }
}

TEST(OperatorForward, TokenIdsThatTheTableLacksAreErrorsOfTheData) {
  const graph::NetworkGraph network = test_networks::text(2, 12, 4, 3);
  Parameters parameters(network);
  InferenceExecutor executor(network, parameters);
  TrainingExecutor training(network, parameters, 1);
  std::array<float, 3> outputs{};
  for (const float id : {12.0F, -1.0F, 1.5F, std::numeric_limits<float>::quiet_NaN()}) {
    const InputSource source = [id](std::int64_t /*first*/, std::int64_t /*count*/, float* out) {
      out[0] = 11.0F;
      out[1] = id;
    };
    EXPECT_THROW(executor.run(source, 1, outputs.data()), ConfigError) << id;
    EXPECT_THROW(training.step(source, std::array<std::uint8_t, 1>{0}, 0.0), ConfigError) << id;
  }
  try {
    executor.run([](std::int64_t, std::int64_t, float* out) { out[0] = out[1] = 12.0F; }, 1, outputs.data());
    ADD_FAILURE();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.message(), "token id 12 is not allowed; allowed: whole numbers from 0 to 11");
  }
}

TEST(OperatorForward, TokenIdsAreExactInEveryPrecision) {
  graph::Builder b("words", {3, 1});
  b.then("words", graph::TokenEmbed{.vocabulary = 5000, .width = 1});
  const graph::NetworkGraph network = std::move(b).finish();
  for (const kernels::Precision precision : {kernels::Precision::fp32, kernels::Precision::fp16_mcu}) {
    Parameters parameters(network, precision);
    for (const std::size_t row : {2049U, 4095U, 4999U}) {  // fp16 has whole numbers up to 2048 only
      parameters.values()[row] = static_cast<float>(row % 100);
    }
    InferenceExecutor executor(network, parameters);
    std::array<float, 3> outputs{};
    executor.run(
        [](std::int64_t, std::int64_t, float* out) {
          out[0] = 2049.0F;
          out[1] = 4095.0F;
          out[2] = 4999.0F;
        },
        1, outputs.data());
    EXPECT_EQ(outputs, (std::array<float, 3>{49.0F, 95.0F, 99.0F}));
  }
}

TEST(OperatorForward, InferenceMatchesTheNaiveNetworkWithRunningStatistics) {
  for (const graph::NetworkGraph& network : {test_networks::cnn({9, 8, 2}, 6, 5), test_networks::vit({8, 8, 1}, 6),
                                             test_networks::u_net({8, 12, 2}, 6, 3)}) {
    const std::int64_t count = 37;  // three chunks, the last one not full
    const GradientProblem problem(network, count, 4);
    const oracle::Forward naive = oracle::forward(network, problem.weights, problem.input, count, /*training=*/false);
    Parameters parameters(network);
    problem.load(parameters);
    InferenceExecutor executor(network, parameters);
    std::vector<float> outputs(static_cast<std::size_t>(count) * 6);
    executor.run(problem.source(), count, outputs.data());
    const std::vector<double>& expected = naive.nodes.at(network.nodes.back().name).values;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(outputs[i]), expected[i], 1e-4 * (1.0 + std::abs(expected[i])));
    }
  }
}

}  // namespace
}  // namespace cosearch
