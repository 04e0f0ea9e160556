#include "tests/peers/networks.hpp"

#include <utility>

#include "spaces/base/config_error.hpp"

namespace cosearch::peers {
namespace {

using graph::Builder;

void conv_bn_relu(Builder& b, const std::string& name, graph::Conv2d conv, bool relu = true) {
  b.then(name + ".conv", std::move(conv));
  b.then(name + ".bn", graph::BatchNorm{});
  if (relu) {
    b.then(name + ".relu", graph::Activation{graph::ActivationKind::relu});
  }
}

graph::Conv2d conv(const Builder& b, std::int64_t out, std::int64_t kernel_h, std::int64_t kernel_w,
                   std::int64_t stride, std::int64_t groups = 1) {
  const graph::Shape& in = b.shape(b.last());
  return {.out_channels = out,
          .kernel_h = kernel_h,
          .kernel_w = kernel_w,
          .stride = stride,
          .padding = graph::same_padding(in[0], in[1], kernel_h, kernel_w, stride),
          .groups = groups};
}

graph::NetworkGraph resnet8() {
  Builder b("resnet8", {32, 32, 3});
  conv_bn_relu(b, "stem", conv(b, 16, 3, 3, 1));
  for (int block = 0; block < 3; ++block) {
    const std::string name = "block" + std::to_string(block);
    const std::int64_t channels = 16LL << block;
    const std::int64_t stride = block == 0 ? 1 : 2;
    int skip = b.last();
    const graph::Conv2d shortcut = conv(b, channels, 1, 1, stride);
    conv_bn_relu(b, name + ".a", conv(b, channels, 3, 3, stride));
    conv_bn_relu(b, name + ".b", conv(b, channels, 3, 3, 1), false);
    const int main = b.last();
    if (block > 0) {
      skip = b.add(name + ".shortcut", shortcut, {skip});
    }
    b.add(name + ".add", graph::Add{}, {main, skip});
    b.then(name + ".relu", graph::Activation{graph::ActivationKind::relu});
  }
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

graph::NetworkGraph ds_cnn() {
  Builder b("ds_cnn", {49, 10, 1});
  conv_bn_relu(b, "stem", conv(b, 64, 10, 4, 2));
  for (int block = 0; block < 4; ++block) {
    const std::string name = "block" + std::to_string(block);
    conv_bn_relu(b, name + ".dw", conv(b, 64, 3, 3, 1, 64));
    conv_bn_relu(b, name + ".pw", conv(b, 64, 1, 1, 1));
  }
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{12}, {}});
  return std::move(b).finish();
}

graph::NetworkGraph mobile_cnn() {
  Builder b("mobile_cnn", {28, 28, 1});
  conv_bn_relu(b, "stem", conv(b, 16, 3, 3, 1));
  const std::vector<std::pair<std::int64_t, std::int64_t>> stages = {{16, 1}, {24, 2}, {24, 1}, {40, 2}, {40, 1}};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto [channels, stride] = stages[i];
    const std::string name = "block" + std::to_string(i);
    const int skip = b.last();
    const std::int64_t width = b.shape(skip).back();
    const std::int64_t expanded = width * 3;
    conv_bn_relu(b, name + ".expand", conv(b, expanded, 1, 1, 1));
    conv_bn_relu(b, name + ".dw", conv(b, expanded, 3, 3, stride, expanded));
    conv_bn_relu(b, name + ".project", conv(b, channels, 1, 1, 1), false);
    if (stride == 1 && channels == width) {
      b.add(name + ".add", graph::Add{}, {b.last(), skip});
    }
  }
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

graph::NetworkGraph small_cnn() {
  Builder b("small_cnn", {28, 28, 1});
  conv_bn_relu(b, "conv1", conv(b, 16, 3, 3, 1));
  conv_bn_relu(b, "conv2", conv(b, 32, 3, 3, 2));
  conv_bn_relu(b, "conv3", conv(b, 32, 3, 3, 1));
  conv_bn_relu(b, "conv4", conv(b, 64, 3, 3, 2));
  b.then("pool", graph::GlobalAveragePool{});
  b.then("fc", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

/// A transformer whose head reads the mean of the tokens.
graph::NetworkGraph vit(std::int64_t size, std::int64_t channels, std::int64_t patch, std::int64_t embed,
                        std::int64_t depth, std::int64_t heads, std::int64_t ratio) {
  Builder b("vit", {size, size, channels});
  b.then("patch_embed", graph::PatchEmbed{.patch = patch, .embed_dim = embed});
  b.then("position", graph::PositionEmbed{.grid_h = size / patch, .grid_w = size / patch});
  for (std::int64_t block = 0; block < depth; ++block) {
    const std::string name = "blocks." + std::to_string(block);
    int skip = b.last();
    b.then(name + ".norm1", graph::LayerNorm{});
    b.then(name + ".qkv", graph::Linear{{3, heads, embed / heads}, {}});
    b.then(name + ".attn", graph::MultiHeadAttention{heads});
    b.then(name + ".proj", graph::Linear{{embed}, {heads, embed / heads}});
    skip = b.add(name + ".add1", graph::Add{}, {b.last(), skip});
    b.then(name + ".norm2", graph::LayerNorm{});
    b.then(name + ".fc1", graph::Linear{{embed * ratio}, {}});
    b.then(name + ".gelu", graph::Activation{graph::ActivationKind::gelu});
    b.then(name + ".fc2", graph::Linear{{embed}, {}});
    b.add(name + ".add2", graph::Add{}, {b.last(), skip});
  }
  b.then("norm", graph::LayerNorm{});
  b.then("pool", graph::GlobalAveragePool{});
  b.then("head", graph::Linear{{10}, {}});
  return std::move(b).finish();
}

}  // namespace

std::vector<std::string> network_names() {
  return {"resnet8", "ds_cnn", "vit", "mobile_cnn_28", "small_cnn_28", "vit_28"};
}

graph::NetworkGraph network(const std::string& name) {
  if (name == "resnet8") {
    return resnet8();
  }
  if (name == "ds_cnn") {
    return ds_cnn();
  }
  if (name == "vit") {
    return vit(32, 3, 4, 192, 6, 3, 4);
  }
  if (name == "mobile_cnn_28") {
    return mobile_cnn();
  }
  if (name == "small_cnn_28") {
    return small_cnn();
  }
  if (name == "vit_28") {
    return vit(28, 1, 4, 48, 4, 3, 2);
  }
  throw ConfigError("", unknown_name(name, network_names()));
}

}  // namespace cosearch::peers
