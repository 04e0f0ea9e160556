#include "trainer/supernet/inherit.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "spaces/base/rng.hpp"
#include "spaces/catalog/families.hpp"

namespace cosearch {
namespace {

graph::NetworkGraph vit(double rank_ratio, std::int64_t embed_dim = 16, std::size_t depth = 1) {
  catalog::VisionTransformer net;
  net.input = {8, 8, 1};
  net.classes = 3;
  net.embed_dim = embed_dim;
  net.blocks.assign(depth, {1, 2.0});
  net.qkv = net.proj = net.mlp = catalog::LowRank{rank_ratio < 1.0 ? 2 : 1, rank_ratio};
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

/// (rows, inner) * (inner, columns) in double precision.
std::vector<double> product(const WeightStore& store, const std::string& layer) {
  const StoredWeight& a = store.at(layer + ".a.weight");
  const StoredWeight& b = store.at(layer + ".b.weight");
  const auto rows = static_cast<std::size_t>(a.spec.shape()[0]);
  const auto inner = static_cast<std::size_t>(a.spec.shape()[1]);
  const std::size_t columns = b.values.size() / inner;
  std::vector<double> result(rows * columns, 0.0);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < inner; ++k) {
      for (std::size_t c = 0; c < columns; ++c) {
        result[r * columns + c] +=
            static_cast<double>(a.values[r * inner + k]) * static_cast<double>(b.values[k * columns + c]);
      }
    }
  }
  return result;
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
