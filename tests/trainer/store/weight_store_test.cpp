#include "trainer/store/weight_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "spaces/catalog/families.hpp"
#include "tests/trainer/store/axes.hpp"

namespace cosearch {
namespace {

using graph::Initializer;
using graph::WeightAxis;
using graph::WeightSpec;
using testing::axis;
using testing::centre;
using testing::leading;
using testing::resample;
using testing::select;
using testing::weight;

WeightSpec matrix(const std::string& name, std::int64_t rows, std::int64_t columns, Initializer initializer) {
  WeightSpec spec = weight(name, {axis({leading(rows)}), axis({leading(columns)})}, initializer);
  spec.fan_in = rows;
  spec.fan_out = columns;
  return spec;
}

double mean_of(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double variance_of(const std::vector<float>& values) {
  const double mean = mean_of(values);
  double sum = 0.0;
  for (const float value : values) {
    sum += (value - mean) * (value - mean);
  }
  return sum / static_cast<double>(values.size());
}

TEST(InitialValues, DependOnSeedAndNameAlone) {
  const WeightSpec spec = matrix("a.weight", 30, 20, Initializer::he_normal);
  const std::vector<float> values = initial_values(spec, 1);
  EXPECT_EQ(initial_values(spec, 1), values);
  EXPECT_NE(initial_values(spec, 2), values);
  EXPECT_NE(initial_values(matrix("b.weight", 30, 20, Initializer::he_normal), 1), values);

  // Whatever else is in the store.
  const WeightStore alone = WeightStore::for_specs({spec}, 1);
  const WeightStore together = WeightStore::for_specs(
      {matrix("0", 4, 4, Initializer::xavier_uniform), spec, matrix("z", 9, 9, Initializer::truncated_normal)}, 1);
  EXPECT_EQ(alone.at("a.weight").values, values);
  EXPECT_EQ(together.at("a.weight").values, values);
}

TEST(InitialValues, HaveTheMomentsOfTheirInitializer) {
  // 120,000 draws: the mean's deviation is sigma / 346, the variance's relative deviation below sqrt(2 / 120,000).
  const auto draw = [](Initializer initializer) { return initial_values(matrix("w", 300, 400, initializer), 4); };
  const auto he = draw(Initializer::he_normal);
  EXPECT_NEAR(mean_of(he), 0.0, 5 * std::sqrt(2.0 / 300) / 346);
  EXPECT_NEAR(variance_of(he), 2.0 / 300, 0.03 * 2.0 / 300);
  const auto xavier = draw(Initializer::xavier_uniform);
  const double bound = std::sqrt(6.0 / 700);
  EXPECT_NEAR(variance_of(xavier), bound * bound / 3, 0.03 * bound * bound / 3);
  EXPECT_LE(*std::max_element(xavier.begin(), xavier.end()), bound);
  EXPECT_GT(*std::max_element(xavier.begin(), xavier.end()), 0.999 * bound);
  const auto truncated = draw(Initializer::truncated_normal);
  EXPECT_LE(*std::max_element(truncated.begin(), truncated.end()), 0.04F);
  EXPECT_GE(*std::min_element(truncated.begin(), truncated.end()), -0.04F);
  // Variance of a standard normal cut at +-2: 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.77374.
  EXPECT_NEAR(variance_of(truncated), 0.77374 * 0.0004, 0.03 * 0.0004);
  EXPECT_EQ(draw(Initializer::zeros), std::vector<float>(120'000, 0.0F));
  EXPECT_EQ(draw(Initializer::ones), std::vector<float>(120'000, 1.0F));
}

TEST(UnionSpec, IsAsLargeAsTheLargestOfEveryFactor) {
  WeightSpec first = weight(
      "w", {axis({centre(3)}), axis({leading(3), leading(2), leading(8)}), WeightAxis{{leading(5)}, {leading(4)}}});
  first.fan_in = 10;
  first.fan_out = 7;
  WeightSpec second = weight("w", {axis({centre(5)}), axis({leading(3), leading(4), leading(4)}), axis({leading(2)})});
  second.fan_in = 4;
  second.fan_out = 9;
  const WeightSpec shared = union_spec({first, second});
  EXPECT_EQ(shared.shape(), (std::vector<std::int64_t>{5, 3 * 4 * 8, 5 + 4}));
  EXPECT_EQ(shared.fan_in, 10);
  EXPECT_EQ(shared.fan_out, 9);
  EXPECT_EQ(union_spec({second, first}).axes, shared.axes);
}

TEST(UnionSpec, OfSelectionsHoldsEveryListedEntry) {
  const WeightSpec first = weight("w", {axis({select({0, 5})})});
  const WeightSpec second = weight("w", {axis({select({2, 1, 3})})});
  const WeightSpec shared = union_spec({first, second});
  EXPECT_EQ(shared.shape(), (std::vector<std::int64_t>{6}));
  WeightStore store;
  store.insert({shared, {0, 10, 20, 30, 40, 50}});
  EXPECT_EQ(store.slice(first), (std::vector<float>{0, 50}));
  EXPECT_EQ(store.slice(second), (std::vector<float>{20, 10, 30}));
}

TEST(WeightStore, AConvolutionBehindAConcatTakesItsPartOfEachInput) {
  const auto u_net = [](std::int64_t width) {
    return catalog::build("unet", catalog::UNet{.input = {8, 8, 1}, .classes = 2, .width = width, .levels = 2});
  };
  const WeightStore store = WeightStore::for_corners({u_net(4), u_net(8)}, 1);
  const StoredWeight& shared = store.at("decoder.0.conv1.weight");
  ASSERT_EQ(shared.spec.shape(), (std::vector<std::int64_t>{3, 3, 8 + 16, 8}));
  for (const WeightSpec& spec : graph::weights(u_net(4))) {
    if (spec.name != shared.spec.name) {
      continue;
    }
    ASSERT_EQ(spec.shape(), (std::vector<std::int64_t>{3, 3, 4 + 8, 4}));
    const std::vector<float> slice = store.slice(spec);
    for (std::size_t i = 0; i < slice.size(); ++i) {
      const std::size_t pixel = i / (12 * 4);
      const std::size_t channel = i / 4 % 12;
      const std::size_t shared_channel = channel < 4 ? channel : channel - 4 + 8;  // of the skip; of the level below
      ASSERT_EQ(slice[i], shared.values[(pixel * 24 + shared_channel) * 8 + i % 4]) << i;
    }
  }
}

TEST(WeightStore, SliceOfOwnShapeIsIdentity) {
  const WeightSpec spec = weight("w", {axis({select({7, 2, 4})}), axis({leading(2), leading(3)}), axis({resample(4)})},
                                 Initializer::he_normal);
  const WeightStore store = WeightStore::for_specs({spec}, 3);
  EXPECT_EQ(store.slice(spec), store.at("w").values);
}

TEST(WeightStore, WrittenSlicesAreReadBack) {
  WeightStore store = WeightStore::for_specs({matrix("w", 4, 4, Initializer::zeros)}, 0);
  const WeightSpec small = matrix("w", 2, 3, Initializer::zeros);
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  store.write_slice(small, values);
  EXPECT_EQ(store.slice(small), values);
  EXPECT_EQ(store.at("w").values, (std::vector<float>{1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  std::vector<float> gradient(16, 1.0F);
  store.accumulate_slice(small, values, gradient);
  EXPECT_EQ(gradient, (std::vector<float>{2, 3, 4, 1, 5, 6, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
}

graph::NetworkGraph small_network(std::int64_t channels, std::int64_t kernel) {
  graph::Builder builder("net", {8, 8, 1});
  builder.then("stem", graph::Conv2d{.out_channels = channels,
                                     .kernel_h = kernel,
                                     .kernel_w = kernel,
                                     .stride = 1,
                                     .padding = graph::symmetric_padding(kernel),
                                     .groups = 1,
                                     .bias = false});
  builder.then("norm", graph::BatchNorm{});
  builder.then("act", graph::Activation{});
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("head", graph::Linear{.out_factors = {3}, .in_factors = {}, .bias = true});
  return std::move(builder).finish();
}

TEST(WeightStore, OfANetworkHasExactlyItsWeights) {
  const graph::NetworkGraph network = small_network(6, 3);
  const WeightStore store = WeightStore::for_network(network, 5);
  const std::vector<WeightSpec> specs = graph::weights(network);
  EXPECT_EQ(store.weights().size(), specs.size());
  for (const WeightSpec& spec : specs) {
    ASSERT_TRUE(store.contains(spec.name));
    EXPECT_EQ(store.at(spec.name).spec.shape(), spec.shape());
    EXPECT_EQ(store.slice(spec), store.at(spec.name).values);
  }
}

TEST(WeightStore, OfCornersServesEverySubnet) {
  const WeightStore store = WeightStore::for_corners({small_network(4, 5), small_network(6, 3)}, 5);
  EXPECT_EQ(store.at("stem.weight").spec.shape(), (std::vector<std::int64_t>{5, 5, 1, 6}));
  for (const WeightSpec& spec : graph::weights(small_network(5, 3))) {
    const std::vector<float> slice = store.slice(spec);
    EXPECT_EQ(static_cast<std::int64_t>(slice.size()), spec.elements());
  }
  // Kernel 3 is the middle of kernel 5: its first entry is row 1, column 1.
  const std::vector<WeightSpec> specs = graph::weights(small_network(6, 3));
  const auto stem =
      std::find_if(specs.begin(), specs.end(), [](const WeightSpec& spec) { return spec.name == "stem.weight"; });
  ASSERT_NE(stem, specs.end());
  EXPECT_EQ(store.slice(*stem)[0], store.at("stem.weight").values[(1 * 5 + 1) * 6]);
}

TEST(WeightStoreDeathTest, MissingAndMisshapenWeightsAbort) {
  WeightStore store;
  EXPECT_DEATH(static_cast<void>(store.at("stem.weight")), "no weight named stem.weight");
  EXPECT_DEATH(store.insert({matrix("w", 2, 2, Initializer::zeros), {1.0F}}), "as many values as its shape");
  const WeightSpec twice = matrix("w", 2, 2, Initializer::zeros);
  EXPECT_DEATH(static_cast<void>(WeightStore::for_specs({twice, twice}, 0)), "two weights are named w");
}

}  // namespace
}  // namespace cosearch
