#include "spaces/catalog/networks.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

struct PublishedLayer {
  std::string network;
  std::string output_shape;
  std::int64_t macs = 0;
  std::int64_t size = 0;  ///< weight bytes with biases, or weights
};

std::vector<PublishedLayer> published_layers(const std::string& file) {
  std::ifstream in(std::string(COSEARCH_SOURCE_DIR) + "/tests/data/" + file);
  std::vector<PublishedLayer> layers;
  std::string line;
  bool header = true;
  while (std::getline(in, line)) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    if (std::exchange(header, false)) {
      continue;
    }
    std::istringstream fields(line);
    PublishedLayer layer;
    std::string kind;
    std::string macs;
    std::string size;
    std::getline(fields, layer.network, ',');
    std::getline(fields, kind, ',');
    std::getline(fields, layer.output_shape, ',');
    std::getline(fields, macs, ',');
    std::getline(fields, size, ',');
    layer.macs = std::stoll(macs);
    layer.size = std::stoll(size);
    layers.push_back(layer);
  }
  return layers;
}

std::string text(const graph::Shape& shape) {
  std::string joined;
  for (const std::int64_t extent : shape) {
    joined += (joined.empty() ? "" : "x") + std::to_string(extent);
  }
  return joined;
}

struct Layer {
  std::string name, shape;
  std::int64_t macs = 0, weights = 0, outputs = 0;
};

/// Layers with multiplications, in order.
std::vector<Layer> layers_of(const graph::NetworkGraph& net) {
  const auto shapes = graph::infer_shapes(net).value();
  const std::vector<graph::NodeCounts> counts = graph::node_counts(net);
  std::vector<Layer> layers;
  for (std::size_t i = 0; i < net.nodes.size(); ++i) {
    if (counts[i].macs > 0) {
      const auto specs = graph::weights(net, static_cast<int>(i), shapes);
      layers.push_back({net.nodes[i].name, text(shapes[i]), counts[i].macs, specs.at(0).elements(), shapes[i].back()});
    }
  }
  return layers;
}

TEST(Networks, LayersOfTheMlperfTinyModelsMatchTheirPublishedFiles) {
  std::map<std::string, std::vector<PublishedLayer>> published;
  for (const PublishedLayer& layer : published_layers("mlperf_tiny_layers.csv")) {
    published[layer.network].push_back(layer);
  }
  ASSERT_EQ(published.size(), 4U);
  for (const auto& [name, expected] : published) {
    const std::vector<Layer> layers = layers_of(make_network(name));
    ASSERT_EQ(layers.size(), expected.size()) << name;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      EXPECT_EQ(layers[i].macs, expected[i].macs) << name << " " << layers[i].name;
      EXPECT_EQ(layers[i].shape, expected[i].output_shape) << name << " " << layers[i].name;
      EXPECT_EQ(layers[i].weights + 4 * layers[i].outputs, expected[i].size) << name << " " << layers[i].name;
    }
  }
}

TEST(Networks, LayersOfMobileNetV2MatchMcunetsModelZoo) {
  const std::vector<PublishedLayer> expected = published_layers("mcunet_mbv2_w035_r144_layers.csv");
  const std::vector<Layer> layers = layers_of(make_network("mobilenet_v2_035_144"));
  ASSERT_EQ(layers.size(), expected.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    EXPECT_EQ(layers[i].macs, expected[i].macs) << layers[i].name;
    EXPECT_EQ(layers[i].shape, expected[i].output_shape) << layers[i].name;
    EXPECT_EQ(layers[i].weights, expected[i].size) << layers[i].name;
  }
}

TEST(Networks, TotalsAreThePublishedOnes) {
  EXPECT_EQ(graph::total_counts(make_network("resnet8")).macs, 12'501'632);
  EXPECT_EQ(graph::total_counts(make_network("ds_cnn")).macs, 2'656'768);
  EXPECT_EQ(graph::total_counts(make_network("mobilenet_v1_025")).macs, 7'489'664);
  EXPECT_EQ(graph::total_counts(make_network("deep_autoencoder")).macs, 264'192);
}

/// The parameters are those of torchvision's models of these names; the multiply-accumulates are the sums over the
/// layers of the papers' tables.
TEST(Networks, TheNetworksOfImageNetHaveTheirKnownSizes) {
  const auto totals = [](const char* name) { return graph::total_counts(make_network(name)); };
  EXPECT_EQ(totals("resnet50").parameters, 25'557'032);
  EXPECT_EQ(totals("resnet50").macs, 4'089'184'256);
  EXPECT_EQ(totals("vgg16").parameters, 138'357'544);
  EXPECT_EQ(totals("vgg16").macs, 15'470'264'320);
  EXPECT_EQ(totals("mobilenet_v2").parameters, 3'504'872);
  EXPECT_EQ(totals("mobilenet_v2").macs, 300'774'272);
  // Patches, positions, blocks (norms, qkv, projection, two layers), norm, head.
  constexpr std::int64_t kDim = 768;
  constexpr std::int64_t kTokens = 196;
  constexpr std::int64_t kBlock = 2 * 2 * kDim + 4 * (kDim * kDim + kDim) + 2 * 4 * kDim * kDim + 5 * kDim;
  EXPECT_EQ(totals("vit_b16").parameters,
            16 * 16 * 3 * kDim + kDim + kTokens * kDim + 12 * kBlock + 2 * kDim + kDim * 1000 + 1000);
  EXPECT_EQ(totals("vit_b16").macs, kTokens * 16 * 16 * 3 * kDim +
                                        12 * (kTokens * 12 * kDim * kDim + 2 * kTokens * kTokens * kDim) + kDim * 1000);
}

TEST(Networks, BertBaseCountsAsByHand) {
  constexpr std::int64_t kWidth = 768;
  constexpr std::int64_t kTokens = 128;
  constexpr std::int64_t kVocabulary = 30522;
  constexpr std::int64_t kNorm = 2 * kWidth;
  constexpr std::int64_t kAttention = kWidth * 3 * kWidth + 3 * kWidth + kWidth * kWidth + kWidth + kNorm;
  constexpr std::int64_t kMlp = kWidth * 4 * kWidth + 4 * kWidth + 4 * kWidth * kWidth + kWidth + kNorm;
  const graph::NodeCounts counts = graph::total_counts(make_network("bert_base"));
  EXPECT_EQ(counts.parameters, (kVocabulary + kTokens) * kWidth + kNorm + 12 * (kAttention + kMlp));
  EXPECT_EQ(counts.parameters, 108'595'200);
  EXPECT_EQ(counts.macs, 12 * (kTokens * 12 * kWidth * kWidth + 2 * kTokens * kTokens * kWidth));
  // What the release has beside ours: the other positions, two token types, the pooler. It is said to have 109.5 M.
  const std::int64_t rest = (512 - kTokens) * kWidth + 2 * kWidth + kWidth * kWidth + kWidth;
  EXPECT_NEAR(static_cast<double>(counts.parameters + rest), 109.5e6, 0.05e6);
}

TEST(Networks, TheSmallTransformerCountsAsByHand) {
  const std::int64_t tokens = 49;
  const std::int64_t dim = 64;
  const std::int64_t linear = tokens * (dim * 3 * dim + dim * dim + 2 * dim * 2 * dim);
  const std::int64_t attention = 2 * tokens * tokens * dim;
  EXPECT_EQ(graph::total_counts(make_network("vit_tiny_28")).macs,
            tokens * 16 * dim + 4 * (linear + attention) + dim * 10);
}

TEST(Networks, RegistryIsSortedAndItsNetworksAreSound) {
  std::string before;
  for (const NetworkEntry& entry : network_registry()) {
    EXPECT_LT(before, entry.name);
    before = entry.name;
    const graph::NetworkGraph net = entry.make();
    EXPECT_EQ(net.name, entry.name);
    EXPECT_TRUE(graph::infer_shapes(net).has_value());
    EXPECT_FALSE(entry.summary.empty());
  }
}

TEST(Networks, AnUnknownNameIsRefusedWithAHint) {
  try {
    static_cast<void>(make_network("resnet_8"));
    ADD_FAILURE();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.place(), "--network");
    EXPECT_NE(error.message().find("did you mean \"resnet8\""), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace cosearch
