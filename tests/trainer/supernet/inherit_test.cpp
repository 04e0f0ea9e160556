#include "trainer/supernet/inherit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "spaces/base/rng.hpp"
#include "spaces/catalog/families.hpp"

namespace cosearch {
namespace {

/// With a rank ratio below 1 layers are products of `factors`, above they are dense.
graph::NetworkGraph vit(double rank_ratio, std::int64_t embed_dim = 16, std::size_t depth = 1, int factors = 2) {
  catalog::VisionTransformer net;
  net.input = {8, 8, 1};
  net.classes = 3;
  net.embed_dim = embed_dim;
  net.blocks.assign(depth, {1, 2.0});
  net.qkv = net.proj = net.mlp = catalog::LowRank{rank_ratio < 1.0 ? factors : 1, rank_ratio};
  return catalog::build("vit", net);
}

graph::NetworkGraph convolution(std::int64_t kernel, std::int64_t channels) {
  graph::Builder builder("net", {8, 8, 1});
  builder.then("conv", graph::Conv2d{.out_channels = channels,
                                     .kernel_h = kernel,
                                     .kernel_w = kernel,
                                     .padding = graph::symmetric_padding(kernel)});
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("fc", graph::Linear{{3}, {}, true});
  return std::move(builder).finish();
}

WeightStore random_store(const graph::NetworkGraph& network, std::uint64_t seed) {
  WeightStore store = WeightStore::for_network(network, seed);
  for (const auto& [name, weight] : store.weights()) {
    RngStream rng(seed, Purpose::test, name.size() * 1000 + static_cast<std::uint64_t>(name.front()));
    for (float& value : store.at(name).values) {
      value = static_cast<float>(rng.normal());
    }
  }
  return store;
}

struct DoubleMatrix {
  std::size_t rows = 0, columns = 0;
  std::vector<double> values;
};

DoubleMatrix matrix_of(const StoredWeight& weight) {
  const auto rows = static_cast<std::size_t>(weight.spec.shape()[0]);
  return {rows, weight.values.size() / rows, {weight.values.begin(), weight.values.end()}};
}

/// The first `inner` columns of a times the first `inner` rows of b.
DoubleMatrix times(const DoubleMatrix& a, const DoubleMatrix& b, std::size_t inner) {
  DoubleMatrix result{a.rows, b.columns, std::vector<double>(a.rows * b.columns, 0.0)};
  for (std::size_t r = 0; r < a.rows; ++r) {
    for (std::size_t k = 0; k < inner; ++k) {
      for (std::size_t c = 0; c < b.columns; ++c) {
        result.values[r * b.columns + c] += a.values[r * a.columns + k] * b.values[k * b.columns + c];
      }
    }
  }
  return result;
}

/// What a layer applies, in double precision, whatever its form; of its factors the leading slices up to `rank`.
std::vector<double> product(const WeightStore& store, const std::string& layer, std::size_t rank = 1000) {
  if (store.contains(layer + ".weight")) {
    return matrix_of(store.at(layer + ".weight")).values;
  }
  const bool two = store.contains(layer + ".a.weight");
  const DoubleMatrix first = matrix_of(store.at(layer + (two ? ".a" : ".in") + ".weight"));
  const DoubleMatrix last = matrix_of(store.at(layer + (two ? ".b" : ".out") + ".weight"));
  const std::size_t inner = std::min(rank, first.columns);
  return times(two ? first : times(first, matrix_of(store.at(layer + ".core.weight")), inner), last, inner).values;
}

double squared_distance(const std::vector<double>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += (a[i] - static_cast<double>(b[i])) * (a[i] - static_cast<double>(b[i]));
  }
  return sum;
}

TEST(Inherit, EqualWeightsAreCopied) {
  const WeightStore from = random_store(vit(1.0), 1);
  WeightStore into = WeightStore::for_network(vit(1.0), 2);
  inherit(from, into);
  for (const auto& [name, weight] : from.weights()) {
    EXPECT_EQ(into.at(name).values, weight.values) << name;
  }
}

TEST(Inherit, SmallerWeightsTakeSlicesAndLargerOnesKeepTheRest) {
  for (const auto& [from_shape, into_shape] :
       {std::pair{convolution(5, 6), convolution(3, 4)}, std::pair{convolution(3, 4), convolution(5, 6)}}) {
    const WeightStore from = random_store(from_shape, 1);
    const WeightStore initial = random_store(into_shape, 2);
    WeightStore into = initial;
    inherit(from, into);
    const StoredWeight& source = from.at("conv.weight");
    const StoredWeight& target = into.at("conv.weight");
    const std::int64_t k = target.spec.shape()[0];
    const std::int64_t channels = target.spec.shape()[3];
    const std::int64_t source_k = source.spec.shape()[0];
    const std::int64_t source_channels = source.spec.shape()[3];
    const std::int64_t shift = (source_k - k) / 2;
    for (std::int64_t y = 0; y < k; ++y) {
      for (std::int64_t x = 0; x < k; ++x) {
        for (std::int64_t c = 0; c < channels; ++c) {
          const bool known =
              y + shift >= 0 && y + shift < source_k && x + shift >= 0 && x + shift < source_k && c < source_channels;
          const auto at = static_cast<std::size_t>((y * k + x) * channels + c);
          const float expected =
              known
                  ? source.values[static_cast<std::size_t>(((y + shift) * source_k + x + shift) * source_channels + c)]
                  : initial.at("conv.weight").values[at];
          EXPECT_EQ(target.values[at], expected) << y << " " << x << " " << c;
        }
      }
    }
  }
}

TEST(Inherit, FactorsAreTheBestApproximationOfADenseWeight) {
  const WeightStore from = random_store(vit(1.0), 3);
  WeightStore into = WeightStore::for_network(vit(0.5), 4);
  inherit(from, into);
  for (const std::string layer : {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"}) {
    const std::string name = "blocks.0." + layer;
    const std::vector<float>& dense = from.at(name + ".weight").values;
    const double error = squared_distance(product(into, name), dense);
    double norm = 0.0;
    for (const float value : dense) {
      norm += static_cast<double>(value) * static_cast<double>(value);
    }
    // The residual of the best approximation is orthogonal to it (Pythagoras); of rank 8 of 16 it is not 0.
    double kept = 0.0;
    for (const double value : product(into, name)) {
      kept += value * value;
    }
    EXPECT_NEAR(kept + error, norm, 1e-4 * norm) << name;
    EXPECT_GT(error, 0.01 * norm) << name;
    // No change of a factor makes it better.
    for (std::uint64_t i = 0; i < 10; ++i) {
      WeightStore moved = into;
      for (const char* side : {".a.weight", ".b.weight"}) {
        RngStream rng(5, Purpose::test, i);
        for (float& value : moved.at(name + side).values) {
          value += 0.01F * static_cast<float>(rng.normal());
        }
      }
      EXPECT_GT(squared_distance(product(moved, name), dense), error) << name;
    }
    EXPECT_EQ(into.at(name + ".b.bias").values, from.at(name + ".bias").values);
  }
}

TEST(Inherit, HigherRanksReproduceAProductExactlyAndLeaveNothingDead) {
  const WeightStore from = random_store(vit(0.25), 6);
  WeightStore into = WeightStore::for_network(vit(0.5), 7);
  inherit(from, into);
  const std::string name = "blocks.0.mlp.fc1";
  const std::vector<double> expected = product(from, name);
  const std::vector<double> actual = product(into, name);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 1e-4);
  }
  // A column of `a` that is 0 together with its row of `b` would stay 0 for ever.
  const StoredWeight& a = into.at(name + ".a.weight");
  const auto rank = static_cast<std::size_t>(a.spec.shape()[1]);
  for (std::size_t k = 0; k < rank; ++k) {
    double norm = 0.0;
    for (std::size_t r = 0; r * rank < a.values.size(); ++r) {
      norm += std::abs(static_cast<double>(a.values[r * rank + k]));
    }
    EXPECT_GT(norm, 0.0) << k;
  }
}

TEST(Inherit, DenseWeightsBecomeTheProductOfFactors) {
  const WeightStore from = random_store(vit(0.5), 8);
  WeightStore into = WeightStore::for_network(vit(1.0), 9);
  inherit(from, into);
  EXPECT_LT(squared_distance(product(from, "blocks.0.attn.qkv"), into.at("blocks.0.attn.qkv.weight").values), 1e-6);
  EXPECT_EQ(into.at("blocks.0.attn.qkv.bias").values, from.at("blocks.0.attn.qkv.b.bias").values);
}

/// The best approximation of rank r, by power iteration and deflation: strongest left and right vectors one by one.
std::vector<double> best_approximation(std::vector<double> rest, std::size_t rows, std::size_t rank) {
  const std::size_t columns = rest.size() / rows;
  std::vector<double> sum(rest.size(), 0.0);
  for (std::size_t k = 0; k < rank; ++k) {
    RngStream rng(11, Purpose::test, k);
    std::vector<double> right(columns);
    std::generate(right.begin(), right.end(), [&] { return rng.normal(); });
    std::vector<double> left(rows);
    for (int iteration = 0; iteration < 3000; ++iteration) {
      std::fill(left.begin(), left.end(), 0.0);
      for (std::size_t i = 0; i < rest.size(); ++i) {
        left[i / columns] += rest[i] * right[i % columns];
      }
      std::fill(right.begin(), right.end(), 0.0);
      for (std::size_t i = 0; i < rest.size(); ++i) {
        right[i % columns] += rest[i] * left[i / columns];
      }
      const double norm = std::sqrt(std::inner_product(right.begin(), right.end(), right.begin(), 0.0));
      std::transform(right.begin(), right.end(), right.begin(), [&](double value) { return value / norm; });
    }
    std::fill(left.begin(), left.end(), 0.0);
    for (std::size_t i = 0; i < rest.size(); ++i) {
      left[i / columns] += rest[i] * right[i % columns];
    }
    for (std::size_t i = 0; i < rest.size(); ++i) {
      sum[i] += left[i / columns] * right[i % columns];
      rest[i] -= left[i / columns] * right[i % columns];
    }
  }
  return sum;
}

TEST(Inherit, EveryFormBecomesTheBestApproximationInEveryOther) {
  const std::string layer = "blocks.0.mlp.fc1";
  for (const int from_factors : {1, 2, 3}) {
    for (const int into_factors : {2, 3}) {
      // Rank 12 of 16, or full, to rank 5; leading slices of rank 3 as well.
      const WeightStore from = random_store(vit(from_factors == 1 ? 1.0 : 0.75, 16, 1, from_factors), 12);
      WeightStore into = WeightStore::for_network(vit(0.32, 16, 1, into_factors), 13);
      inherit(from, into);
      for (const std::size_t rank : {5U, 3U}) {
        const std::vector<double> expected = best_approximation(product(from, layer), 16, rank);
        const std::vector<double> actual = product(into, layer, rank);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
          ASSERT_NEAR(actual[i], expected[i], 1e-3) << from_factors << " to " << into_factors << ", rank " << rank;
        }
      }
      const char* bias = from_factors == 1 ? ".bias" : from_factors == 2 ? ".b.bias" : ".out.bias";
      EXPECT_EQ(into.at(layer + (into_factors == 2 ? ".b.bias" : ".out.bias")).values, from.at(layer + bias).values);
    }
  }
}

TEST(Inherit, TheCoreOfThreeFactorsBeginsAsTheSingularValues) {
  WeightStore into = WeightStore::for_network(vit(0.5, 16, 1, 3), 13);
  inherit(random_store(vit(1.0), 12), into);
  const DoubleMatrix core = matrix_of(into.at("blocks.0.attn.qkv.core.weight"));
  ASSERT_EQ(core.rows, 8U);
  for (std::size_t i = 0; i < core.values.size(); ++i) {
    if (i / 8 != i % 8) {
      EXPECT_EQ(core.values[i], 0.0);
    } else if (i > 0) {
      EXPECT_LE(core.values[i], core.values[i - 9]);
      EXPECT_GT(core.values[i], 0.0);
    }
  }
}

TEST(Inherit, ThreeFactorsOfAHigherRankAndOtherWidthsKeepTheProduct) {
  const std::string layer = "blocks.0.mlp.fc2";
  const WeightStore from = random_store(vit(0.25, 16, 1, 3), 14);
  WeightStore same = WeightStore::for_network(vit(0.5, 16, 1, 3), 15);
  inherit(from, same);
  const std::vector<double> expected = product(from, layer);
  const std::vector<double> actual = product(same, layer);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 1e-3);
  }
  for (const float value : same.at(layer + ".in.weight").values) {
    EXPECT_NE(value, 0.0F);
  }
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_NE(same.at(layer + ".core.weight").values[k * 9], 0.0F) << "nothing could learn behind it";
  }
  // A narrower network has the leading part of the product: 16 hidden units of 32, 8 outputs of 16.
  WeightStore narrow = WeightStore::for_network(vit(0.9, 8, 1, 3), 16);
  inherit(from, narrow);
  const std::vector<double> part = product(narrow, layer);
  ASSERT_EQ(part.size(), 16U * 8U);
  for (std::size_t i = 0; i < part.size(); ++i) {
    ASSERT_NEAR(part[i], expected[i / 8 * 16 + i % 8], 1e-3);
  }
}

TEST(Inherit, DenseWeightsBecomeTheProductOfThreeFactors) {
  const WeightStore from = random_store(vit(0.5, 16, 1, 3), 8);
  WeightStore into = WeightStore::for_network(vit(1.0), 9);
  inherit(from, into);
  EXPECT_LT(squared_distance(product(from, "blocks.0.attn.qkv"), into.at("blocks.0.attn.qkv.weight").values), 1e-6);
  EXPECT_EQ(into.at("blocks.0.attn.qkv.bias").values, from.at("blocks.0.attn.qkv.out.bias").values);
}

TEST(Inherit, WeightsOfAnotherStructureGiveNothing) {
  const WeightStore from = random_store(convolution(3, 4), 1);
  WeightStore into = WeightStore::for_network(vit(1.0), 2);
  const WeightStore initial = into;
  inherit(from, into);
  for (const auto& [name, weight] : initial.weights()) {
    EXPECT_EQ(into.at(name).values, weight.values) << name;
  }
}

}  // namespace
}  // namespace cosearch
