#include "spaces/graph/graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "spaces/base/hash.hpp"
#include "tests/oracle/naive_network.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// --- the MLPerf Tiny networks -----------------------------------------------------------------------------------

Conv2d same_conv(std::int64_t size, std::int64_t channels, std::int64_t kernel, std::int64_t stride) {
  return {.out_channels = channels,
          .kernel_h = kernel,
          .kernel_w = kernel,
          .stride = stride,
          .padding = same_padding(size, size, kernel, kernel, stride),
          .bias = true};
}

/// Image classification of MLPerf Tiny v0.5.
NetworkGraph resnet8() {
  Builder b{"resnet8", {32, 32, 3}};
  int in = b.then("stem", same_conv(32, 16, 3, 1));
  std::int64_t size = 32;
  for (const std::int64_t channels : {16, 32, 64}) {
    const std::int64_t stride = channels == 16 ? 1 : 2;
    const std::string stage = "stage" + std::to_string(channels);
    b.add(stage + ".conv1", same_conv(size, channels, 3, stride), {in});
    int branch = b.then(stage + ".conv2", same_conv(size / stride, channels, 3, 1));
    if (stride != 1) {
      in = b.add(stage + ".shortcut", same_conv(size, channels, 1, stride), {in});
    }
    in = b.add(stage + ".add", Add{}, {in, branch});
    size /= stride;
  }
  b.then("pool", Pool2d{.kind = PoolKind::average, .kernel = 8, .stride = 8});
  b.then("flatten", GlobalAveragePool{});
  b.then("head", Linear{.out_factors = {10}});
  return std::move(b).finish();
}

/// Keyword spotting of MLPerf Tiny v0.5.
NetworkGraph ds_cnn() {
  Builder b{"ds_cnn", {49, 10, 1}};
  b.then("stem", Conv2d{.out_channels = 64,
                        .kernel_h = 10,
                        .kernel_w = 4,
                        .stride = 2,
                        .padding = same_padding(49, 10, 10, 4, 2),
                        .bias = true});
  for (int i = 0; i < 4; ++i) {
    const std::string block = "block" + std::to_string(i);
    b.then(block + ".depthwise", Conv2d{.out_channels = 64,
                                        .kernel_h = 3,
                                        .kernel_w = 3,
                                        .padding = same_padding(25, 5, 3, 3, 1),
                                        .groups = 64,
                                        .bias = true});
    b.then(block + ".pointwise", Conv2d{.out_channels = 64, .bias = true});
  }
  b.then("pool", GlobalAveragePool{});
  b.then("head", Linear{.out_factors = {12}});
  return std::move(b).finish();
}

std::vector<std::int64_t> macs_by_layer(const NetworkGraph& graph) {
  std::vector<std::int64_t> macs;
  for (const NodeCounts& counts : node_counts(graph)) {
    if (counts.macs > 0) {
      macs.push_back(counts.macs);
    }
  }
  return macs;
}

// Published: layers of the reference models in github.com/mlcommons/tiny (benchmark/training/*/trained_models,
// pretrainedResnet_quant.tflite and kws_ref_model.tflite), multiply-accumulates from their tensors' shapes.
TEST(GraphCounts, MultiplyAccumulatesOfMlperfTinyResnet8AreThoseOfItsLayers) {
  EXPECT_THAT(macs_by_layer(resnet8()),
              ElementsAre(442368, 2359296, 2359296, 1179648, 2359296, 131072, 1179648, 2359296, 131072, 640));
  EXPECT_EQ(total_counts(resnet8()).macs, 12'501'632);
}

TEST(GraphCounts, MultiplyAccumulatesOfMlperfTinyDsCnnAreThoseOfItsLayers) {
  EXPECT_THAT(macs_by_layer(ds_cnn()),
              ElementsAre(320000, 72000, 512000, 72000, 512000, 72000, 512000, 72000, 512000, 768));
  EXPECT_EQ(total_counts(ds_cnn()).macs, 2'656'768);
}

// Published: bytes of the int8 weights and int32 biases in the same files.
TEST(GraphCounts, ParametersOfMlperfTinyNetworksAreTheConstantsOfTheirFiles) {
  const auto constant_bytes = [](const NetworkGraph& graph) {
    std::int64_t bytes = 0;
    for (const WeightSpec& spec : weights(graph)) {
      bytes += spec.elements() * (spec.name.ends_with(".bias") ? 4 : 1);
    }
    return bytes;
  };
  EXPECT_EQ(constant_bytes(resnet8()), 496 + 2368 + 2368 + 4736 + 9344 + 640 + 18688 + 37120 + 2304 + 680);
  EXPECT_EQ(constant_bytes(ds_cnn()), 2816 + 4 * (832 + 4352) + 816);
}

TEST(GraphCounts, TotalsAreTheSumsOverNodesAndStatesAreNoParameters) {
  Builder b{"norm", {4, 4, 3}};
  b.then("conv", Conv2d{.out_channels = 2, .bias = true});
  b.then("norm", BatchNorm{});
  const NetworkGraph graph = std::move(b).finish();
  const std::vector<NodeCounts> nodes = node_counts(graph);
  EXPECT_EQ(nodes[1].parameters, 3 * 2 + 2);
  EXPECT_EQ(nodes[2].parameters, 2 + 2);
  const NodeCounts total = total_counts(graph);
  EXPECT_EQ(total.macs, 16 * 3 * 2);
  EXPECT_EQ(total.parameters, 12);
  EXPECT_EQ(total.elementwise, 32 + 2 * 32 + 5 * 2);
  EXPECT_EQ(total.output_elements, 48 + 32 + 32);
}

// --- shapes -----------------------------------------------------------------------------------------------------

TEST(Padding, SameGivesTheRoundedUpQuotientAndTheOddPixelAtTheEnd) {
  EXPECT_EQ(same_padding(32, 32, 3, 3, 2), (Padding{0, 0, 1, 1}));
  EXPECT_EQ(same_padding(49, 10, 10, 4, 2), (Padding{4, 1, 5, 1}));
  EXPECT_EQ(same_padding(5, 5, 1, 1, 3), (Padding{0, 0, 0, 0}));
  for (std::int64_t size = 1; size < 12; ++size) {
    for (std::int64_t kernel = 1; kernel < 6; ++kernel) {
      for (std::int64_t stride = 1; stride < 5; ++stride) {
        const Padding pad = same_padding(size, size, kernel, kernel, stride);
        EXPECT_EQ((size + pad.top + pad.bottom - kernel) / stride + 1, (size + stride - 1) / stride);
        EXPECT_GE(pad.bottom, pad.top);
        EXPECT_LE(pad.bottom - pad.top, 1);
      }
    }
  }
  EXPECT_EQ(symmetric_padding(5), (Padding{2, 2, 2, 2}));
}

TEST(InferShapes, ShapesAreThoseOfTheNaiveForward) {
  std::vector<NetworkGraph> graphs = {oracle::small_residual_network(), oracle::small_u_net(),
                                      oracle::small_text_network(), oracle::small_transformer()};
  for (std::size_t kind = 1; kind < oracle::kOperatorKinds; ++kind) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      graphs.push_back(oracle::random_operator(kind, seed));
    }
  }
  for (const NetworkGraph& graph : graphs) {
    const auto shapes = infer_shapes(graph);
    ASSERT_TRUE(shapes.has_value()) << shapes.error();
    const auto weights = oracle::random_weights(graph, 1);
    const auto input = oracle::random_input(graph, 1, 1);
    const oracle::Forward naive = oracle::forward(graph, weights, input, 1, false);
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      EXPECT_EQ(shapes.value()[i], naive.nodes.at(graph.nodes[i].name).shape) << graph.name;
    }
  }
}

struct BadGraph {
  Shape input;
  Op op;
  std::string message;
};

TEST(InferShapes, WhatDoesNotFitIsOneLineThatNamesTheNode) {
  const std::vector<BadGraph> table = {
      {{8}, Conv2d{}, "must be an image (height, width, channels), not (8)"},
      {{8, 8, 3}, Conv2d{.out_channels = 4, .groups = 2}, "groups = 2 must divide the 3 input channels"},
      {{8, 8, 4}, Conv2d{.out_channels = 3, .groups = 2}, "and the 3 output channels"},
      {{2, 8, 1}, Conv2d{.kernel_h = 3}, "a 3 x 1 kernel does not fit"},
      {{8, 8, 1}, Conv2d{.out_channels = 0}, "out_channels = 0 is not allowed; allowed: 1 to 16777216"},
      {{8, 8, 1}, Conv2d{.stride = 0}, "stride = 0 is not allowed"},
      {{8, 8, 1}, Conv2d{.padding = {0, 0, 0, -2}}, "padding = -2 is not allowed; allowed: 0 to"},
      {{8, 8, 1}, Conv2d{.groups = 0}, "groups = 0 is not allowed"},
      {{1 << 20, 1 << 20, 1}, Conv2d{.out_channels = 1 << 20}, "more than 2^45 multiply-accumulates"},
      {{8, 8, 1}, Conv2d{.weight_bits = 2}, "weight_bits = 2 is not allowed; allowed: 8 or 4"},
      {{8}, Linear{.out_factors = {2}, .in_factors = {}, .weight_bits = 16}, "weight_bits = 16 is not allowed"},
      {{8, 8, 1}, PatchEmbed{.weight_bits = 0}, "weight_bits = 0 is not allowed"},
      {{8}, Linear{.out_factors = {}}, "out_factors is empty"},
      {{8}, Linear{.out_factors = {2, 0}}, "out_factors = 0 is not allowed"},
      {{8}, Linear{.out_factors = {2}, .in_factors = {3, 2}}, "in_factors (3, 2) must be the input's 8 features"},
      {{8}, MultiHeadAttention{}, "must be a sequence (tokens, features), not (8)"},
      {{4, 10}, MultiHeadAttention{2}, "10 input features must be a multiple of 3 * heads = 6"},
      {{4, 4}, BatchNorm{.epsilon = 0.0}, "epsilon = 0 is not allowed; allowed: above 0, at most 1"},
      {{4, 4}, BatchNorm{.momentum = 1.5}, "momentum = 1.5 is not allowed"},
      {{4, 4}, LayerNorm{-1.0}, "epsilon = -1 is not allowed"},
      {{4, 4}, Pool2d{}, "must be an image"},
      {{4, 4, 1}, Pool2d{.kernel = 2, .padding = {2, 0, 0, 0}}, "padding must be smaller than the kernel, which is 2"},
      {{4, 4, 1}, Pool2d{.kernel = 5}, "a 5 x 5 window does not fit"},
      {{4}, GlobalAveragePool{}, "must be an image or a sequence, not (4)"},
      {{4, 4}, PatchEmbed{}, "must be an image"},
      {{9, 8, 1}, PatchEmbed{.patch = 4}, "the padded image of 9 x 8 must be a whole number of patches of 4 x 4"},
      {{4, 4}, Upsample{}, "must be an image"},
      {{4, 4, 1}, Upsample{0}, "factor = 0 is not allowed; allowed: 1 to 16777216"},
      {{1 << 20, 1 << 20, 1}, Upsample{1 << 20}, "more than 2^45 output elements"},
      {{4}, TokenEmbed{}, "its input must be token ids (tokens, 1), not (4)"},
      {{4, 2}, TokenEmbed{}, "its input must be token ids (tokens, 1), not (4, 2)"},
      {{4, 1}, TokenEmbed{.vocabulary = 0}, "vocabulary = 0 is not allowed; allowed: 1 to 16777216"},
      {{1 << 14, 1}, TokenEmbed{1 << 24, 1 << 10}, "more than 2^45 pairs of an output element and a row"},
      {{4}, PositionEmbed{4, 1}, "must be a sequence"},
      {{4}, MoeFfn{}, "must be a sequence"},
      {{4, 2}, MoeFfn{.experts = 4, .top_k = 5}, "top_k = 5 is more than its 4 experts"},
      {{4, 2}, MoeFfn{.tasks = 2, .task = 2}, "task = 2 is not one of its 2 tasks; allowed: 0 to 1"},
      {{4, 2}, MoeFfn{.task = -1}, "task = -1 is not allowed; allowed: 0 to 16777216"},
      {{4, 2}, MoeFfn{.experts = 0}, "experts = 0 is not allowed; allowed: 1 to 16777216"},
      {{4, 2}, MoeFfn{.balance = -0.1}, "balance = -0.1 is not allowed; allowed: 0 to 1"},
      {{4, 2}, MoeFfn{.noise = 1.5}, "noise = 1.5 is not allowed; allowed: 0 to 1"},
      {{1 << 12, 1 << 12}, MoeFfn{.experts = 1 << 12, .hidden = 1 << 22}, "more than 2^45"},
      {{5, 2}, PositionEmbed{2, 2}, "grid_h * grid_w = 2 * 2 must be its input's 5 tokens"},
  };
  for (const BadGraph& bad : table) {
    NetworkGraph graph{"bad", {{"input", Input{bad.input}, {}}, {"stage.op", bad.op, {0}}}, {1}};
    const auto shapes = infer_shapes(graph);
    ASSERT_FALSE(shapes.has_value()) << bad.message;
    EXPECT_THAT(shapes.error(), HasSubstr("node \"stage.op\" (" + kind_name(bad.op) + "): "));
    EXPECT_THAT(shapes.error(), HasSubstr(bad.message));
    EXPECT_EQ(shapes.error().find('\n'), std::string::npos);
  }
}

TEST(InferShapes, MalformedWiringIsOneLineToo) {
  const Node input{"input", Input{{4}}, {}};
  const auto error = [](const NetworkGraph& graph) {
    const auto shapes = infer_shapes(graph);
    return shapes ? std::string("none") : shapes.error();
  };
  const Node act{"act", Activation{}, {0}};
  EXPECT_EQ(error({"net", {input, act}, {1}}), "none");
  EXPECT_THAT(error({"net", {}, {}}), HasSubstr("network \"net\": there is no Input"));
  EXPECT_THAT(error({"net", {act}, {0}}), HasSubstr("the name of the Input is \"input\""));
  EXPECT_THAT(error({"net", {{"input", Activation{}, {}}}, {0}}), HasSubstr("the first node is the Input"));
  EXPECT_THAT(error({"net", {input, {"second", Input{{4}}, {}}}, {1}}), HasSubstr("the first node is the Input"));
  EXPECT_THAT(error({"net", {input, {"act", Activation{}, {}}}, {1}}), HasSubstr("0 inputs are not allowed"));
  EXPECT_THAT(error({"net", {input, {"add", Add{}, {0}}}, {1}}),
              HasSubstr("1 inputs are not allowed for add; allowed: 2"));
  EXPECT_THAT(error({"net", {input, {"concat", Concat{}, {0}}}, {1}}),
              HasSubstr("1 inputs are not allowed for concat; allowed: 2 to 64"));
  EXPECT_THAT(error({"net", {input, {"concat", Concat{}, std::vector<int>(65, 0)}}, {1}}),
              HasSubstr("65 inputs are not allowed for concat; allowed: 2 to 64"));
  EXPECT_EQ(error({"net", {input, {"concat", Concat{}, std::vector<int>(64, 0)}}, {1}}), "none");
  const Node ids{"input", Input{{4, 1}}, {}};
  EXPECT_THAT(error({"net", {ids, act, {"words", TokenEmbed{5, 2}, {1}}}, {2}}),
              HasSubstr("node \"words\" (token_embed): token ids come from the Input, not from another node"));
  EXPECT_THAT(error({"net", {input, {"act", Activation{}, {1}}}, {1}}), HasSubstr("input 1 is not an earlier node"));
  EXPECT_THAT(error({"net", {input, {"act", Activation{}, {-1}}}, {1}}), HasSubstr("input -1 is not an earlier node"));
  EXPECT_THAT(error({"net", {input, act, act}, {2}}), HasSubstr("two nodes have this name"));
  EXPECT_THAT(error({"net", {input, act, {"act.weight.gradient", Activation{}, {1}}}, {2}}), HasSubstr("reserved"));
  EXPECT_THAT(error({"net", {input, {"learning_rate", Activation{}, {0}}}, {1}}), HasSubstr("reserved"));
  EXPECT_EQ(error({"net", {input, act, {"other.weight", Activation{}, {1}}}, {2}}), "none");
  EXPECT_THAT(error({"net", {input, {"0act", Activation{}, {0}}}, {1}}), HasSubstr("is not a name"));
  EXPECT_THAT(error({"net", {input, act}, {}}), HasSubstr("there is no output"));
  EXPECT_THAT(error({"net", {input, act}, {2}}), HasSubstr("output 2 is not a node behind the Input; allowed: 1 to 1"));
  EXPECT_THAT(error({"net", {input, act}, {0}}), HasSubstr("output 0 is not a node behind the Input"));
  EXPECT_THAT(error({"net", {input, act}, {1, 1}}), HasSubstr("twice"));
  EXPECT_THAT(error({"net", {input, act, {"dead", Activation{}, {0}}}, {1}}),
              HasSubstr("node \"dead\" (activation): nothing uses its output"));
}

TEST(InferShapes, ConcatTakesInputsThatAgreeInAllAxesButTheLast) {
  const auto net = [](const Op& right) {
    return NetworkGraph{"net",
                        {{"input", Input{{4, 4, 2}}, {}},
                         {"left", Linear{.out_factors = {3}}, {0}},
                         {"right", right, {0}},
                         {"concat", Concat{}, {1, 2, 0}}},
                        {3}};
  };
  EXPECT_THAT(infer_shapes(net(Linear{.out_factors = {5}})).value().back(), ElementsAre(4, 4, 10));
  EXPECT_THAT(infer_shapes(net(Pool2d{})).error(),
              HasSubstr("node \"concat\" (concat): its inputs must agree in all axes but the last, not (4, 4, 3) and "
                        "(2, 2, 2)"));
  EXPECT_THAT(infer_shapes(net(GlobalAveragePool{})).error(), HasSubstr("not (4, 4, 3) and (2)"));
  EXPECT_THAT(infer_shapes(net(Linear{.out_factors = {1 << 24}})).error(),
              HasSubstr("its inputs have 16777221 features together; allowed: up to 16777216"));
}

TEST(GraphBuilder, NamesShapesAndOutputFollowTheNodes) {
  Builder b{"net", {8, 8, 2}};
  EXPECT_EQ(b.last(), 0);
  const int conv = b.then("conv", Conv2d{.out_channels = 4, .kernel_h = 3, .kernel_w = 3});
  EXPECT_EQ(conv, 1);
  EXPECT_THAT(b.shape(conv), ElementsAre(6, 6, 4));
  b.then("act", Activation{});
  b.add("add", Add{}, {conv, b.last()});
  const NetworkGraph graph = std::move(b).finish();
  EXPECT_THAT(graph.outputs, ElementsAre(3));
  EXPECT_THAT(graph.nodes[3].inputs, ElementsAre(1, 2));
}

TEST(GraphBuilder, WhatAUserDescribesIsRefusedWithItsReasonAndNotAdded) {
  Builder b{"net", {8, 8, 2}};
  const auto refused = b.try_add("conv", Conv2d{4, 1, 1, 1, {}, 3}, {0});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().find("must divide the 2 input channels"), std::string::npos) << refused.error();
  EXPECT_EQ(b.last(), 0);
  const auto added = b.try_add("conv", Conv2d{4, 1, 1, 1, {}, 2}, {0});
  ASSERT_TRUE(added.has_value());
  EXPECT_EQ(*added, 1);
  EXPECT_EQ(b.shape(1), (Shape{8, 8, 4}));
}

TEST(GraphBuilderDeathTest, AMalformedNodeIsADefectOfItsSpace) {
  EXPECT_DEATH(
      {
        Builder b("net", {8, 8, 2});
        b.then("conv", Conv2d{.out_channels = 3, .groups = 2});
      },
      "node \"conv\": groups = 2 must divide");
}

// --- hash -------------------------------------------------------------------------------------------------------

TEST(GraphHash, DiffersWhenAnythingDiffers) {
  const std::vector<std::pair<Shape, Op>> variants = {
      {{8, 8, 4}, Conv2d{.out_channels = 4}},
      {{8, 8, 2}, Conv2d{.out_channels = 4}},
      {{8, 8, 4}, Conv2d{.out_channels = 8}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .kernel_h = 3}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .kernel_w = 3}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .stride = 2}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .padding = {1, 0, 0, 0}}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .padding = {0, 1, 0, 0}}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .padding = {0, 0, 1, 0}}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .padding = {0, 0, 0, 1}}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .groups = 2}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .bias = true}},
      {{8, 8, 4}, Conv2d{.out_channels = 4, .weight_bits = 4}},
      {{8, 8, 4}, Linear{.out_factors = {4}, .in_factors = {}, .weight_bits = 4}},
      {{8, 8, 4}, PatchEmbed{.weight_bits = 4}},
      {{8, 8, 4}, Linear{.out_factors = {4}}},
      {{8, 8, 4}, Linear{.out_factors = {2, 2}}},
      {{8, 8, 4}, Linear{.out_factors = {4}, .in_factors = {4}}},
      {{8, 8, 4}, Linear{.out_factors = {4, 4}}},
      {{8, 8, 4}, Linear{.out_factors = {4}, .in_factors = {}, .bias = false}},
      {{4, 12}, MultiHeadAttention{1}},
      {{4, 12}, MultiHeadAttention{2}},
      {{8, 8, 4}, BatchNorm{}},
      {{8, 8, 4}, BatchNorm{.epsilon = 1e-3}},
      {{8, 8, 4}, BatchNorm{.momentum = 0.2}},
      {{8, 8, 4}, LayerNorm{}},
      {{8, 8, 4}, LayerNorm{1e-5}},
      {{8, 8, 4}, Activation{ActivationKind::relu}},
      {{8, 8, 4}, Activation{ActivationKind::relu6}},
      {{8, 8, 4}, Activation{ActivationKind::hard_swish}},
      {{8, 8, 4}, Activation{ActivationKind::gelu}},
      {{8, 8, 4}, Pool2d{}},
      {{8, 8, 4}, Pool2d{.kind = PoolKind::average}},
      {{8, 8, 4}, Pool2d{.kernel = 3}},
      {{8, 8, 4}, Pool2d{.stride = 1}},
      {{8, 8, 4}, Pool2d{.padding = {1, 0, 0, 0}}},
      {{8, 8, 4}, GlobalAveragePool{}},
      {{8, 8, 4}, PatchEmbed{}},
      {{8, 8, 4}, PatchEmbed{.patch = 2}},
      {{8, 8, 4}, PatchEmbed{.embed_dim = 32}},
      {{8, 8, 4}, PatchEmbed{.padding = 2}},
      {{12, 4}, PositionEmbed{3, 4}},
      {{12, 4}, PositionEmbed{4, 3}},
      {{8, 8, 4}, Upsample{2}},
      {{8, 8, 4}, Upsample{3}},
      {{8, 1}, TokenEmbed{4, 5}},
      {{8, 1}, TokenEmbed{5, 4}},
      {{8, 4}, MoeFfn{}},
      {{8, 4}, MoeFfn{.experts = 8}},
      {{8, 4}, MoeFfn{.top_k = 2}},
      {{8, 4}, MoeFfn{.hidden = 32}},
      {{8, 4}, MoeFfn{.tasks = 2}},
      {{8, 4}, MoeFfn{.tasks = 2, .task = 1}},
      {{8, 4}, MoeFfn{.routing = MoeRouting::conditioned}},
      {{8, 4}, MoeFfn{.embedding = 32}},
      {{8, 4}, MoeFfn{.balance = 0.0}},
      {{8, 4}, MoeFfn{.noise = 1.0}},
  };
  std::set<std::uint64_t> hashes;
  for (const auto& [input, op] : variants) {
    Builder b{"net", input};
    b.then("op", op);
    EXPECT_TRUE(hashes.insert(hash(std::move(b).finish())).second) << kind_name(op);
  }
}

// Stored campaigns know their networks by these hashes: of 8 bits nothing goes into them.
TEST(GraphHash, WeightsOfEightBitsAreNotMentioned) {
  Builder b{"net", {6, 5, 3}};
  b.then("conv", Conv2d{.out_channels = 4, .kernel_h = 3, .kernel_w = 2, .padding = {1, 2, 3, 4}, .bias = true});
  b.then("head", Linear{.out_factors = {2, 5}, .in_factors = {}, .bias = false});
  Hasher expected;
  expected.add(std::uint64_t{3});
  expected.add("input").add("input").add(std::uint64_t{3}).add(6).add(5).add(3).add(std::uint64_t{0});
  expected.add("conv").add("conv2d").add(4).add(3).add(2).add(1).add(1).add(2).add(3).add(4).add(1).add(true);
  expected.add(std::uint64_t{1}).add(0);
  expected.add("head").add("linear").add(std::uint64_t{2}).add(2).add(5).add(std::uint64_t{0}).add(false);
  expected.add(std::uint64_t{1}).add(1);
  expected.add(std::uint64_t{1}).add(2);
  EXPECT_EQ(hash(std::move(b).finish()), expected.value());
}

TEST(GraphHash, DiffersWithNamesWiringAndOutputsButNotWithTheGraphsName) {
  const auto make = [](const std::string& name, const std::string& node, std::vector<int> inputs) {
    Builder b{name, {4}};
    b.then("a", Activation{});
    b.then("b", Activation{});
    b.add(node, Add{}, std::move(inputs));
    return std::move(b).finish();
  };
  const NetworkGraph graph = make("net", "add", {1, 2});
  EXPECT_EQ(hash(graph), hash(make("net", "add", {1, 2})));
  EXPECT_EQ(hash(graph), hash(make("other", "add", {1, 2})));
  EXPECT_NE(hash(graph), hash(make("net", "sum", {1, 2})));
  EXPECT_NE(hash(graph), hash(make("net", "add", {2, 1})));
  NetworkGraph more_outputs = graph;
  more_outputs.outputs = {3, 2};
  EXPECT_NE(hash(graph), hash(more_outputs));
}

}  // namespace
}  // namespace cosearch::graph
