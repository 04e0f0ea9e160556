#include "spaces/catalog/networks.hpp"

#include <array>
#include <utility>

#include "spaces/base/registry.hpp"
#include "spaces/catalog/blocks.hpp"
#include "spaces/catalog/families.hpp"

namespace cosearch {
namespace {

using catalog::build;
using graph::NetworkGraph;

// The four reference models of MLPerf Tiny (Banbury et al., "MLPerf Tiny benchmark", NeurIPS 2021 datasets track;
// github.com/mlcommons/tiny).

/// Anomaly detection. In the deployed form: the batch norms of the training graph are folded into the linear layers.
NetworkGraph make_deep_autoencoder() {
  graph::Builder builder("deep_autoencoder", {640});
  constexpr std::array<std::int64_t, 10> kWidths{128, 128, 128, 128, 8, 128, 128, 128, 128, 640};
  for (std::size_t i = 0; i < kWidths.size(); ++i) {
    const std::string name = "layers." + std::to_string(i);
    builder.then(name, graph::Linear{{kWidths[i]}, {}, true});
    if (i + 1 < kWidths.size()) {
      builder.then(name + ".act", graph::Activation{graph::ActivationKind::relu});
    }
  }
  return std::move(builder).finish();
}

/// Keyword spotting.
NetworkGraph make_ds_cnn() {
  catalog::DepthwiseSeparableCnn net;
  net.input = {49, 10, 1};
  net.classes = 12;
  net.kernel_h = 10;
  net.kernel_w = 4;
  return build("ds_cnn", net);
}

/// Visual wake words: MobileNetV1 (Howard et al., 2017) with width multiplier 0.25.
NetworkGraph make_mobilenet_v1_025() {
  graph::Builder builder("mobilenet_v1_025", {96, 96, 3});
  catalog::conv_bn_act(builder, "stem", catalog::convolution({96, 96, 3}, 8, 3, 3, 2, catalog::PaddingRule::same),
                       graph::ActivationKind::relu);
  struct Block {
    std::int64_t out_channels, stride;
  };
  constexpr std::array<Block, 13> kBlocks{{{16, 1},
                                           {32, 2},
                                           {32, 1},
                                           {64, 2},
                                           {64, 1},
                                           {128, 2},
                                           {128, 1},
                                           {128, 1},
                                           {128, 1},
                                           {128, 1},
                                           {128, 1},
                                           {256, 2},
                                           {256, 1}}};
  for (std::size_t i = 0; i < kBlocks.size(); ++i) {
    catalog::depthwise_separable(builder, "blocks." + std::to_string(i), kBlocks[i].out_channels, kBlocks[i].stride);
  }
  catalog::pooled_classifier(builder, "classifier", 2);
  return std::move(builder).finish();
}

/// MobileNetV2 with width multiplier 0.35 at 144 x 144 on ImageNet, as in MCUNet's model zoo (Lin et al., NeurIPS 2020;
/// github.com/mit-han-lab/mcunet).
NetworkGraph make_mobilenet_v2_035_144() {
  struct Stage {
    std::int64_t expansion, out_channels, depth, stride;
  };
  constexpr std::array<Stage, 7> kStages{
      {{1, 8, 1, 1}, {6, 8, 2, 2}, {6, 16, 3, 2}, {6, 24, 4, 2}, {6, 32, 3, 1}, {6, 56, 3, 2}, {6, 112, 1, 1}}};
  catalog::MobileNetV2 net;
  net.input = {144, 144, 3};
  net.classes = 1000;
  net.stem_width = 16;
  net.last_width = 448;
  for (const Stage& stage : kStages) {
    std::vector<catalog::InvertedResidual> blocks;
    for (std::int64_t i = 0; i < stage.depth; ++i) {
      blocks.push_back({stage.out_channels, 3, i == 0 ? stage.stride : 1, stage.expansion});
    }
    net.stages.push_back(std::move(blocks));
  }
  return build("mobilenet_v2_035_144", net);
}

/// Image classification.
NetworkGraph make_resnet8() {
  catalog::ResNet net;
  net.input = {32, 32, 3};
  return build("resnet8", net);
}

/// A transformer of the size of the others, for Fashion-MNIST.
NetworkGraph make_vit_tiny_28() {
  catalog::VisionTransformer net;
  net.input = {28, 28, 1};
  return build("vit_tiny_28", net);
}

constexpr std::array kNetworks{
    NetworkEntry{"deep_autoencoder", "MLPerf Tiny anomaly detection, 640 features", &make_deep_autoencoder},
    NetworkEntry{"ds_cnn", "MLPerf Tiny keyword spotting, 49x10x1", &make_ds_cnn},
    NetworkEntry{"mobilenet_v1_025", "MLPerf Tiny visual wake words, 96x96x3", &make_mobilenet_v1_025},
    NetworkEntry{"mobilenet_v2_035_144", "MobileNetV2 x 0.35, 144x144x3, 1000 classes", &make_mobilenet_v2_035_144},
    NetworkEntry{"resnet8", "MLPerf Tiny image classification, 32x32x3", &make_resnet8},
    NetworkEntry{"vit_tiny_28", "vision transformer, 28x28x1: patch 4, width 64, depth 4, 4 heads", &make_vit_tiny_28},
};

}  // namespace

std::span<const NetworkEntry> network_registry() { return kNetworks; }

NetworkGraph make_network(const std::string& name) { return entry_named(kNetworks, name, "--network").make(); }

}  // namespace cosearch
