#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/oracle/naive_network.hpp"
#include "tests/trainer/quantize/stores.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/quantize/quantize.hpp"

namespace cosearch::quantize {
namespace {

/// What stands before a fused activation, by position and channel: weights [out][kh][kw][in / groups] on the input.
double folded_convolution(const graph::Conv2d& op, const FoldedLayer& layer, const oracle::Batch& x, std::int64_t y0,
                          std::int64_t x0, std::int64_t out) {
  const std::int64_t channels = x.shape[2] / op.groups;
  const std::int64_t first = out / (op.out_channels / op.groups) * channels;
  auto sum = static_cast<double>(layer.bias[static_cast<std::size_t>(out)]);
  for (std::int64_t r = 0; r < op.kernel_h; ++r) {
    for (std::int64_t s = 0; s < op.kernel_w; ++s) {
      const std::int64_t row = y0 * op.stride + r - op.padding.top;
      const std::int64_t column = x0 * op.stride + s - op.padding.left;
      if (row < 0 || row >= x.shape[0] || column < 0 || column >= x.shape[1]) {
        continue;
      }
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto at = static_cast<std::size_t>((row * x.shape[1] + column) * x.shape[2] + first + c);
        const auto weight = static_cast<std::size_t>(((out * op.kernel_h + r) * op.kernel_w + s) * channels + c);
        sum += x.values[at] * static_cast<double>(layer.weight[weight]);
      }
    }
  }
  return sum;
}

TEST(Fold, ConvolutionsGiveWhatTheirBatchNormsGave) {
  const graph::NetworkGraph network = test_networks::cnn({6, 5, 2}, 4, 4);
  const oracle::Weights weights = oracle::random_weights(network, 3);
  const oracle::Forward naive =
      oracle::forward(network, weights, oracle::random_input(network, 1, 3), 1, /*training=*/false);
  const auto layers = fold(network, store_of(network, weights));
  int folded = 0;
  for (std::size_t node = 0; node + 1 < network.nodes.size(); ++node) {
    const auto* op = std::get_if<graph::Conv2d>(&network.nodes[node].op);
    if (op == nullptr) {
      continue;
    }
    ASSERT_TRUE(layers[node].has_value());
    const oracle::Batch& x =
        naive.nodes.at(network.nodes[static_cast<std::size_t>(network.nodes[node].inputs[0])].name);
    const oracle::Batch& y = naive.nodes.at(network.nodes[node + 1].name);  // of the batch norm
    for (std::int64_t i = 0; i < std::ssize(y.values); ++i) {
      const std::int64_t out = i % y.shape[2];
      const std::int64_t position = i / y.shape[2];
      EXPECT_NEAR(folded_convolution(*op, *layers[node], x, position / y.shape[1], position % y.shape[1], out),
                  y.values[static_cast<std::size_t>(i)], 1e-5)
          << network.nodes[node].name;
    }
    ++folded;
  }
  EXPECT_EQ(folded, 4);
}

TEST(Fold, LinearMapsAreByOutputAndNormsKeepScaleAndShift) {
  const graph::NetworkGraph network = test_networks::vit({8, 8, 1}, 4, 4, 8, 1, 2);
  const oracle::Weights weights = oracle::random_weights(network, 5);
  const auto layers = fold(network, store_of(network, weights));
  for (std::size_t node = 0; node < network.nodes.size(); ++node) {
    const std::string& name = network.nodes[node].name;
    if (std::holds_alternative<graph::Linear>(network.nodes[node].op)) {
      const std::vector<double>& weight = weights.at(name + ".weight");
      const std::size_t outputs = layers[node]->bias.size();
      const std::size_t inputs = weight.size() / outputs;
      for (std::size_t i = 0; i < weight.size(); ++i) {
        EXPECT_EQ(layers[node]->weight[i % outputs * inputs + i / outputs], static_cast<float>(weight[i])) << name;
      }
    } else if (std::holds_alternative<graph::LayerNorm>(network.nodes[node].op)) {
      EXPECT_EQ(layers[node]->weight.front(), static_cast<float>(weights.at(name + ".scale").front()));
      EXPECT_EQ(layers[node]->bias.back(), static_cast<float>(weights.at(name + ".shift").back()));
    } else if (std::holds_alternative<graph::Add>(network.nodes[node].op)) {
      EXPECT_FALSE(layers[node].has_value());
    }
  }
}

/// Rows (tokens, features) of a mixture's kernels, in floating point: (experts) logits and what an expert makes of
/// them.
std::vector<double> row_sums(const std::vector<float>& weights, const std::vector<float>& biases, std::size_t first,
                             std::size_t count, const std::vector<double>& x) {
  std::vector<double> sums;
  for (std::size_t row = first; row < first + count; ++row) {
    sums.push_back(static_cast<double>(biases[row]));
    for (std::size_t i = 0; i < x.size(); ++i) {
      sums.back() += x[i] * static_cast<double>(weights[row * x.size() + i]);
    }
  }
  return sums;
}

TEST(Fold, MixturesAreByOutputAndATaskIsAnOffsetOfItsLogits) {
  constexpr std::size_t kTokens = 3, kFeatures = 5, kExperts = 4, kHidden = 6;
  for (const graph::MoeRouting routing : {graph::MoeRouting::per_task, graph::MoeRouting::conditioned}) {
    graph::Builder builder("net", {kTokens, kFeatures});
    builder.then("moe", graph::MoeFfn{.experts = kExperts,
                                      .top_k = kExperts,
                                      .hidden = kHidden,
                                      .tasks = 3,
                                      .task = 2,
                                      .routing = routing,
                                      .embedding = 7});
    const graph::NetworkGraph network = std::move(builder).finish();
    const oracle::Weights weights = oracle::random_weights(network, 11);
    const std::vector<double> input = oracle::random_input(network, 1, 11);
    const oracle::Forward naive = oracle::forward(network, weights, input, 1, false);
    const oracle::Mixture& mixture = naive.mixtures.at("moe");
    const FoldedMixture folded = fold(network, store_of(network, weights)).at(1).value().mixture.value();
    for (std::size_t t = 0; t < kTokens; ++t) {
      const auto first = input.begin() + static_cast<std::ptrdiff_t>(t * kFeatures);
      const std::vector<double> x(first, first + kFeatures);
      const std::vector<double> logits = row_sums(folded.router, folded.router_bias, 0, kExperts, x);
      std::vector<double> y(kFeatures, 0.0);
      for (std::size_t e = 0; e < kExperts; ++e) {
        EXPECT_NEAR(logits[e], mixture.clean[t * kExperts + e], 1e-5);
        std::vector<double> hidden = row_sums(folded.w1, folded.b1, e * kHidden, kHidden, x);
        for (double& value : hidden) {
          value *= 0.5 * std::erfc(-value / std::sqrt(2.0));
        }
        const std::vector<double> outputs = row_sums(folded.w2, folded.b2, e * kFeatures, kFeatures, hidden);
        for (std::size_t c = 0; c < kFeatures; ++c) {
          y[c] += mixture.kept[t * kExperts + e] * outputs[c];
        }
      }
      for (std::size_t c = 0; c < kFeatures; ++c) {
        EXPECT_NEAR(y[c], naive.nodes.at("moe").values[t * kFeatures + c], 1e-5);
      }
    }
  }
}

TEST(Fold, ChainsAreAnOperatorWithItsNormAndActivation) {
  const graph::NetworkGraph network = test_networks::cnn({6, 5, 2}, 4, 4);
  std::vector<std::string> chains;
  for (const std::vector<int>& chain : fused_chains(network)) {
    std::string names;
    for (const int node : chain) {
      names += (names.empty() ? "" : " ") + network.nodes[static_cast<std::size_t>(node)].name;
    }
    chains.push_back(names);
  }
  EXPECT_EQ(chains, (std::vector<std::string>{"stem.conv stem.bn stem.act", "dw.conv dw.bn dw.act", "pw.conv pw.bn",
                                              "add", "down.conv down.bn down.act", "pool", "fc"}));
}

}  // namespace
}  // namespace cosearch::quantize
