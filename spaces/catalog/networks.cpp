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

/// One row of the table of MobileNetV2's stages (Sandler et al., CVPR 2018, table 2).
struct MobileNetV2Stage {
  std::int64_t expansion, out_channels, depth, stride;
};
/// Fills the stages of a description: 3 x 3 kernels, the stride in a stage's first block, 1000 classes.
NetworkGraph mobilenet_v2(const std::string& name, catalog::MobileNetV2 net,
                          const std::array<MobileNetV2Stage, 7>& stages) {
  net.classes = 1000;
  for (const MobileNetV2Stage& stage : stages) {
    std::vector<catalog::InvertedResidual> blocks;
    for (std::int64_t i = 0; i < stage.depth; ++i) {
      blocks.push_back({stage.out_channels, 3, i == 0 ? stage.stride : 1, stage.expansion});
    }
    net.stages.push_back(std::move(blocks));
  }
  return build(name, net);
}

/// MobileNetV2 with width multiplier 0.35 at 144 x 144 on ImageNet, as in MCUNet's model zoo (Lin et al., NeurIPS 2020;
/// github.com/mit-han-lab/mcunet).
NetworkGraph make_mobilenet_v2_035_144() {
  return mobilenet_v2(
      "mobilenet_v2_035_144", {.input = {144, 144, 3}, .stem_width = 16, .stages = {}, .last_width = 448},
      {{{1, 8, 1, 1}, {6, 8, 2, 2}, {6, 16, 3, 2}, {6, 24, 4, 2}, {6, 32, 3, 1}, {6, 56, 3, 2}, {6, 112, 1, 1}}});
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

// Networks of ImageNet's size, which accelerator papers report.

NetworkGraph make_mobilenet_v2() {
  return mobilenet_v2(
      "mobilenet_v2", {.input = {224, 224, 3}, .stem_width = 32, .stages = {}, .last_width = 1280},
      {{{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}}});
}

/// ResNet-50 (He et al., CVPR 2016, table 1) with the stride in the 3 x 3 convolution ("v1.5", torchvision's form).
NetworkGraph make_resnet50() {
  using catalog::conv_bn;
  using catalog::conv_bn_act;
  constexpr auto kRelu = graph::ActivationKind::relu;
  graph::Builder builder("resnet50", {224, 224, 3});
  const auto conv = [&builder](std::int64_t channels, std::int64_t kernel, std::int64_t stride) {
    return catalog::convolution(builder.shape(builder.last()), channels, kernel, kernel, stride,
                                catalog::PaddingRule::symmetric);
  };
  conv_bn_act(builder, "stem", conv(64, 7, 2), kRelu);
  builder.then("pool1", graph::Pool2d{graph::PoolKind::max, 3, 2, graph::symmetric_padding(3)});
  constexpr std::array<std::int64_t, 4> kDepths{3, 4, 6, 3};
  for (std::size_t stage = 0; stage < kDepths.size(); ++stage) {
    const std::int64_t width = std::int64_t{64} << stage;
    for (std::int64_t i = 0; i < kDepths[stage]; ++i) {
      const std::string name = "stages." + std::to_string(stage) + ".blocks." + std::to_string(i);
      const std::int64_t stride = i == 0 && stage > 0 ? 2 : 1;
      const int input = builder.last();
      const graph::Conv2d shortcut = conv(4 * width, 1, stride);
      conv_bn_act(builder, name + ".conv1", conv(width, 1, 1), kRelu);
      conv_bn_act(builder, name + ".conv2", conv(width, 3, stride), kRelu);
      const int output = conv_bn(builder, name + ".conv3", conv(4 * width, 1, 1), builder.last());
      const int residual = i == 0 ? conv_bn(builder, name + ".shortcut", shortcut, input) : input;
      builder.add(name + ".add", graph::Add{}, {output, residual});
      builder.then(name + ".act", graph::Activation{kRelu});
    }
  }
  catalog::pooled_classifier(builder, "classifier", 1000);
  return std::move(builder).finish();
}

/// VGG-16 (Simonyan and Zisserman, ICLR 2015, configuration D). The first fully connected layer is the 7 x 7
/// convolution that it equals.
NetworkGraph make_vgg16() {
  constexpr graph::Activation kRelu{graph::ActivationKind::relu};
  graph::Builder builder("vgg16", {224, 224, 3});
  struct Stage {
    std::int64_t width, depth;
  };
  constexpr std::array<Stage, 5> kStages{{{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}}};
  for (std::size_t stage = 0; stage < kStages.size(); ++stage) {
    const std::string prefix = "stages." + std::to_string(stage);
    for (std::int64_t i = 0; i < kStages[stage].depth; ++i) {
      const std::string name = prefix + ".conv" + std::to_string(i + 1);
      graph::Conv2d conv = catalog::convolution(builder.shape(builder.last()), kStages[stage].width, 3, 3, 1,
                                                catalog::PaddingRule::symmetric);
      conv.bias = true;
      builder.then(name, conv);
      builder.then(name + ".act", kRelu);
    }
    builder.then(prefix + ".pool", graph::Pool2d{graph::PoolKind::max, 2, 2, {}});
  }
  graph::Conv2d fc1;
  fc1.out_channels = 4096;
  fc1.kernel_h = fc1.kernel_w = 7;
  fc1.bias = true;
  builder.then("fc1", fc1);
  builder.then("fc1.act", kRelu);
  builder.then("flatten", graph::GlobalAveragePool{});  // of one position
  builder.then("fc2", graph::Linear{{4096}, {}, true});
  builder.then("fc2.act", kRelu);
  builder.then("classifier", graph::Linear{{1000}, {}, true});
  return std::move(builder).finish();
}

/// ViT-B/16 (Dosovitskiy et al., ICLR 2021, table 1) with the mean over its 196 tokens in place of a class token.
NetworkGraph make_vit_b16() {
  catalog::VisionTransformer net;
  net.input = {224, 224, 3};
  net.classes = 1000;
  net.patch = 16;
  net.embed_dim = 768;
  net.head_dim = 64;
  net.blocks.assign(12, {12, 4.0});
  return build("vit_b16", net);
}

/// Layers of a transformer's encoder, norms behind the sums.
struct EncoderLayers {
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t mlp_width = 0;
  graph::Activation activation;
  graph::LayerNorm norm;
};

void add_layer(graph::Builder& builder, const std::string& name, const EncoderLayers& net) {
  const int input = builder.last();
  builder.then(name + ".attention.qkv", graph::Linear{{3, net.heads, net.head_dim}, {}, true});
  builder.then(name + ".attention", graph::MultiHeadAttention{net.heads});
  const int attention =
      builder.then(name + ".attention.proj", graph::Linear{{net.width}, {net.heads, net.head_dim}, true});
  builder.add(name + ".attention.add", graph::Add{}, {input, attention});
  const int middle = builder.then(name + ".attention.norm", net.norm);
  builder.then(name + ".mlp.fc1", graph::Linear{{net.mlp_width}, {}, true});
  builder.then(name + ".mlp.act", net.activation);
  const int mlp = builder.then(name + ".mlp.fc2", graph::Linear{{net.width}, {}, true});
  builder.add(name + ".mlp.add", graph::Add{}, {middle, mlp});
  builder.then(name + ".mlp.norm", net.norm);
}

/// The encoder of BERT base (Devlin et al., NAACL 2019, section 3) with the vocabulary of its uncased release, on 128
/// tokens; norms behind the sums. Gives the last layer's states: no pooler and no head. The table of positions has the
/// sequence's 128 rows of the release's 512, and at inference on one segment the row of its token type is part of them.
NetworkGraph make_bert_base() {
  constexpr std::int64_t kTokens = 128;
  constexpr std::int64_t kLayers = 12;
  const EncoderLayers net{768, 12, 64, 4 * 768, {graph::ActivationKind::gelu}, graph::LayerNorm{1e-12}};
  graph::Builder builder("bert_base", {kTokens, 1});
  builder.then("embeddings.word", graph::TokenEmbed{.vocabulary = 30522, .width = net.width});
  builder.then("embeddings.position", graph::PositionEmbed{kTokens, 1});
  builder.then("embeddings.norm", net.norm);
  for (std::int64_t layer = 0; layer < kLayers; ++layer) {
    add_layer(builder, "layers." + std::to_string(layer), net);
  }
  return std::move(builder).finish();
}

/// One layer of a model that attention accelerators are compared on, 1,024 tokens: shapes of FuseMax's artifact (MICRO
/// 2024), which has no more layers and no word of norms and activations.
NetworkGraph one_layer(const std::string& name, std::int64_t width, std::int64_t heads, std::int64_t head_dim,
                       std::int64_t mlp_width) {
  constexpr std::int64_t kTokens = 1024;
  graph::Builder builder(name, {kTokens, width});
  add_layer(builder, "layer", {width, heads, head_dim, mlp_width, {graph::ActivationKind::relu}, {}});
  return std::move(builder).finish();
}
NetworkGraph make_bert_layer() { return one_layer("bert_layer", 768, 12, 64, 3072); }
NetworkGraph make_t5_layer() { return one_layer("t5_layer", 512, 8, 64, 2048); }
NetworkGraph make_trxl_layer() { return one_layer("trxl_layer", 1024, 16, 64, 4096); }
NetworkGraph make_xlm_layer() { return one_layer("xlm_layer", 2048, 16, 128, 8192); }

constexpr std::array kNetworks{
    NetworkEntry{"bert_base", "BERT base encoder, 128 tokens, vocabulary 30522, width 768, 12 layers", &make_bert_base},
    NetworkEntry{"bert_layer", "one layer of BERT base's shape, 1,024 tokens", &make_bert_layer},
    NetworkEntry{"deep_autoencoder", "MLPerf Tiny anomaly detection, 640 features", &make_deep_autoencoder},
    NetworkEntry{"ds_cnn", "MLPerf Tiny keyword spotting, 49x10x1", &make_ds_cnn},
    NetworkEntry{"mobilenet_v1_025", "MLPerf Tiny visual wake words, 96x96x3", &make_mobilenet_v1_025},
    NetworkEntry{"mobilenet_v2", "MobileNetV2, 224x224x3, 1000 classes", &make_mobilenet_v2},
    NetworkEntry{"mobilenet_v2_035_144", "MobileNetV2 x 0.35, 144x144x3, 1000 classes", &make_mobilenet_v2_035_144},
    NetworkEntry{"resnet50", "ResNet-50 (v1.5), 224x224x3, 1000 classes", &make_resnet50},
    NetworkEntry{"resnet8", "MLPerf Tiny image classification, 32x32x3", &make_resnet8},
    NetworkEntry{"t5_layer", "one encoder layer of T5 small's shape, 1,024 tokens", &make_t5_layer},
    NetworkEntry{"trxl_layer", "one layer of Transformer-XL's shape for WikiText-103, 1,024 tokens", &make_trxl_layer},
    NetworkEntry{"vgg16", "VGG-16, 224x224x3, 1000 classes", &make_vgg16},
    NetworkEntry{"vit_b16", "ViT-B/16 with mean pooling, 224x224x3, 1000 classes", &make_vit_b16},
    NetworkEntry{"vit_tiny_28", "vision transformer, 28x28x1: patch 4, width 64, depth 4, 4 heads", &make_vit_tiny_28},
    NetworkEntry{"xlm_layer", "one layer of XLM's shape, 1,024 tokens", &make_xlm_layer},
};

}  // namespace

std::span<const NetworkEntry> network_registry() { return kNetworks; }

NetworkGraph make_network(const std::string& name) { return entry_named(kNetworks, name, "--network").make(); }

}  // namespace cosearch
