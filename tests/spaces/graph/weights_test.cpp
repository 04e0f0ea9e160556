#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "spaces/graph/graph.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch::graph {
namespace {

using testing::ElementsAre;

std::map<std::string, WeightSpec> specs_of(const NetworkGraph& graph) {
  std::map<std::string, WeightSpec> specs;
  for (const WeightSpec& spec : weights(graph)) {
    EXPECT_TRUE(specs.emplace(spec.name, spec).second) << spec.name;
  }
  return specs;
}

TEST(GraphWeights, LayoutsAreAsDocumented) {
  Builder b{"net", {12, 12, 4}};
  b.then("conv", Conv2d{.out_channels = 6, .kernel_h = 3, .kernel_w = 5, .groups = 2, .bias = true});
  b.then("depthwise", Conv2d{.out_channels = 6, .kernel_h = 3, .kernel_w = 3, .groups = 6});
  b.then("norm", BatchNorm{});
  b.then("patch", PatchEmbed{.patch = 2, .embed_dim = 8});
  const auto specs = specs_of(std::move(b).finish());
  EXPECT_THAT(specs.at("conv.weight").shape(), ElementsAre(3, 5, 2, 6));
  EXPECT_EQ(specs.at("conv.weight").fan_in, 3 * 5 * 2);
  EXPECT_EQ(specs.at("conv.weight").fan_out, 3 * 5 * 3);
  EXPECT_THAT(specs.at("conv.bias").shape(), ElementsAre(6));
  EXPECT_THAT(specs.at("depthwise.weight").shape(), ElementsAre(3, 3, 1, 6));
  EXPECT_FALSE(specs.contains("depthwise.bias"));
  EXPECT_THAT(specs.at("norm.running_variance").shape(), ElementsAre(6));
  EXPECT_THAT(specs.at("patch.weight").shape(), ElementsAre(2, 2, 6, 8));
  EXPECT_THAT(specs.at("patch.bias").shape(), ElementsAre(8));
}

TEST(GraphWeights, AxesTellHowASubnetTakesItsPart) {
  Builder b{"net", {8, 8, 4}};
  b.then("conv", Conv2d{.out_channels = 6, .kernel_h = 3, .kernel_w = 5, .groups = 2});
  b.then("patch", PatchEmbed{.patch = 2, .embed_dim = 8});
  b.then("position", PositionEmbed{3, 2});
  b.then("qkv", Linear{.out_factors = {3, 2, 4}, .in_factors = {2, 4}});
  const auto specs = specs_of(std::move(b).finish());
  const auto leading = [](std::int64_t extent) { return AxisFactor{extent, SliceRule::leading, {}}; };
  const WeightSpec& conv = specs.at("conv.weight");
  EXPECT_EQ(conv.axes[0], (WeightAxis{{{3, SliceRule::centre, {}}}}));
  EXPECT_EQ(conv.axes[1], (WeightAxis{{{5, SliceRule::centre, {}}}}));
  EXPECT_EQ(conv.axes[2], (WeightAxis{{leading(2)}}));
  EXPECT_EQ(conv.axes[3], (WeightAxis{{leading(2), leading(3)}}));
  const WeightSpec& patch = specs.at("patch.weight");
  EXPECT_EQ(patch.axes[0], (WeightAxis{{{2, SliceRule::area, {}}}}));
  EXPECT_EQ(patch.axes[1], patch.axes[0]);
  const WeightSpec& position = specs.at("position.embedding");
  EXPECT_EQ(position.axes[0], (WeightAxis{{{3, SliceRule::resample, {}}, {2, SliceRule::resample, {}}}}));
  EXPECT_EQ(position.axes[1], (WeightAxis{{leading(8)}}));
  const WeightSpec& qkv = specs.at("qkv.weight");
  EXPECT_EQ(qkv.axes[0], (WeightAxis{{leading(2), leading(4)}}));
  EXPECT_EQ(qkv.axes[1], (WeightAxis{{leading(3), leading(2), leading(4)}}));
  EXPECT_EQ(specs.at("qkv.bias").axes[0], qkv.axes[1]);
}

/// Extents of the segments of an axis whose segments have one factor, or a second one of `outputs`.
std::vector<std::int64_t> segments(const WeightAxis& axis, std::optional<std::int64_t> outputs = std::nullopt) {
  std::vector<std::int64_t> extents;
  for (const AxisSegment& segment : axis) {
    EXPECT_EQ(segment.size(), outputs ? 2U : 1U);
    EXPECT_EQ(segment.front().rule, SliceRule::leading);
    extents.push_back(segment.front().extent);
    EXPECT_EQ(segment.back().extent, outputs.value_or(extents.back()));
  }
  return extents;
}

TEST(GraphWeights, AxesAlongConcatenatedFeaturesHaveOneSegmentPerInput) {
  Builder b{"net", {8, 8, 2}};
  const int three = b.then("three", Conv2d{.out_channels = 3});
  const int four = b.add("four", Conv2d{.out_channels = 4}, {0});
  const int concat = b.add("concat", Concat{}, {three, four});
  b.then("norm", BatchNorm{});
  b.then("act", Activation{});
  b.then("pool", Pool2d{});
  const int up = b.then("up", Upsample{2});
  const int nested = b.add("nested", Concat{}, {up, 0, concat});
  b.then("depthwise", Conv2d{.out_channels = 16, .kernel_h = 3, .kernel_w = 3, .groups = 16, .bias = true});
  b.then("multiplied", Conv2d{.out_channels = 32, .groups = 16});
  b.then("behind", Conv2d{.out_channels = 2});
  b.add("dense", Conv2d{.out_channels = 5}, {nested});
  b.add("grouped", Conv2d{.out_channels = 4, .groups = 2}, {nested});
  const int other = b.add("other", Conv2d{.out_channels = 7}, {0});
  b.add("sum", Add{}, {concat, other});
  b.then("of_sum", Linear{.out_factors = {2}});
  b.add("reversed", Add{}, {other, concat});
  b.then("of_reversed", Linear{.out_factors = {2}});
  b.add("patch", PatchEmbed{.patch = 4, .embed_dim = 6}, {concat});
  b.add("mean", GlobalAveragePool{}, {nested});
  b.then("mean_norm", LayerNorm{});
  b.then("head", Linear{.out_factors = {3}});
  b.add("factored", Linear{.out_factors = {3}, .in_factors = {4, 4}}, {b.last() - 2});
  NetworkGraph graph = std::move(b).finish();
  for (int node = 1; node + 1 < static_cast<int>(graph.nodes.size()); ++node) {
    graph.outputs.push_back(node);
  }
  const auto specs = specs_of(graph);
  EXPECT_THAT(segments(specs.at("norm.scale").axes[0]), ElementsAre(3, 4));
  EXPECT_THAT(segments(specs.at("norm.running_mean").axes[0]), ElementsAre(3, 4));
  EXPECT_THAT(segments(specs.at("dense.weight").axes[2]), ElementsAre(3, 4, 2, 3, 4));
  EXPECT_THAT(segments(specs.at("depthwise.weight").axes[2]), ElementsAre(1));
  EXPECT_THAT(segments(specs.at("depthwise.weight").axes[3], 1), ElementsAre(3, 4, 2, 3, 4));
  EXPECT_THAT(segments(specs.at("depthwise.bias").axes[0], 1), ElementsAre(3, 4, 2, 3, 4));
  EXPECT_THAT(segments(specs.at("multiplied.weight").axes[3], 2), ElementsAre(3, 4, 2, 3, 4));
  EXPECT_THAT(segments(specs.at("behind.weight").axes[2]), ElementsAre(32)) << "two outputs per channel";
  EXPECT_THAT(segments(specs.at("grouped.weight").axes[2]), ElementsAre(8)) << "groups cut across inputs";
  EXPECT_THAT(segments(specs.at("of_sum.weight").axes[0]), ElementsAre(3, 4));
  EXPECT_THAT(segments(specs.at("of_reversed.weight").axes[0]), ElementsAre(7));
  EXPECT_THAT(segments(specs.at("patch.weight").axes[2]), ElementsAre(3, 4));
  EXPECT_THAT(segments(specs.at("mean_norm.shift").axes[0]), ElementsAre(3, 4, 2, 3, 4));
  EXPECT_THAT(segments(specs.at("head.weight").axes[0]), ElementsAre(3, 4, 2, 3, 4));
  EXPECT_THAT(segments(specs.at("factored.weight").axes[0], 4), ElementsAre(4)) << "the factors are told";
}

TEST(GraphWeights, OnlyMatricesAndKernelsDecayAndRunningStatisticsAreNotTrained) {
  for (const NetworkGraph& graph : {oracle::small_residual_network(), oracle::small_transformer()}) {
    for (const WeightSpec& spec : weights(graph)) {
      EXPECT_EQ(spec.decay, spec.name.ends_with(".weight")) << spec.name;
      EXPECT_EQ(spec.trainable, spec.name.find(".running_") == std::string::npos) << spec.name;
      const bool ones = spec.name.ends_with(".scale") || spec.name.ends_with(".running_variance");
      EXPECT_EQ(spec.initializer == Initializer::ones, ones) << spec.name;
      EXPECT_GE(spec.fan_in, 1) << spec.name;
      EXPECT_GE(spec.fan_out, 1) << spec.name;
    }
  }
}

TEST(GraphWeights, AnAxisOfSeveralSegmentsIsTheirConcatenation) {
  const AxisFactor two{2, SliceRule::leading, {}};
  const AxisFactor three{3, SliceRule::leading, {}};
  EXPECT_EQ(extent(WeightAxis{{two, three}, {three}}), 9);
}

}  // namespace
}  // namespace cosearch::graph
