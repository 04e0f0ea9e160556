#pragma once

#include <string>
#include <utility>
#include <vector>

#include "spaces/graph/graph.hpp"

/// Small networks for the trainer's tests.
namespace cosearch::test_networks {

/// A convolution that keeps the size of an image with odd kernels at stride 1.
inline graph::Conv2d conv(const graph::Builder& builder, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                          std::int64_t groups = 1, bool bias = false) {
  const graph::Shape& in = builder.shape(builder.last());
  return {.out_channels = out,
          .kernel_h = kernel,
          .kernel_w = kernel,
          .stride = stride,
          .padding = graph::same_padding(in[0], in[1], kernel, kernel, stride),
          .groups = groups,
          .bias = bias};
}

inline void classifier(graph::Builder& builder, std::int64_t classes) {
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("fc", graph::Linear{.out_factors = {classes}, .in_factors = {}});
}

/// Batch norms, fused and not, a depthwise layer and a residual connection.
inline graph::NetworkGraph cnn(const graph::Shape& input, std::int64_t classes, std::int64_t width = 8) {
  graph::Builder b("cnn", input);
  b.then("stem.conv", conv(b, width, 3, 1));
  b.then("stem.bn", graph::BatchNorm{});
  const int skip = b.then("stem.act", graph::Activation{graph::ActivationKind::relu});
  b.then("dw.conv", conv(b, width, 3, 1, width));
  b.then("dw.bn", graph::BatchNorm{});
  b.then("dw.act", graph::Activation{graph::ActivationKind::hard_swish});
  b.then("pw.conv", conv(b, width, 1, 1));
  b.then("pw.bn", graph::BatchNorm{});
  b.add("add", graph::Add{}, {b.last(), skip});
  b.then("down.conv", conv(b, 2 * width, 3, 2));
  b.then("down.bn", graph::BatchNorm{});
  b.then("down.act", graph::Activation{graph::ActivationKind::relu6});
  classifier(b, classes);
  return std::move(b).finish();
}

/// Three convolutions of stride 2, each with batch norm and relu.
inline graph::NetworkGraph three_stages(const graph::Shape& input, std::int64_t classes) {
  graph::Builder b("three_stages", input);
  for (const std::int64_t channels : {8, 16, 32}) {
    const std::string name = "stage" + std::to_string(channels);
    b.then(name + ".conv", conv(b, channels, 3, 2));
    b.then(name + ".bn", graph::BatchNorm{});
    b.then(name + ".relu", graph::Activation{graph::ActivationKind::relu});
  }
  classifier(b, classes);
  return std::move(b).finish();
}

/// A U-Net of three levels with a classifier behind it. Height and width are multiples of 4.
inline graph::NetworkGraph u_net(const graph::Shape& input, std::int64_t classes, std::int64_t width) {
  graph::Builder b("u_net", input);
  const auto level = [&b](const std::string& name, std::int64_t channels) {
    b.then(name + ".conv", conv(b, channels, 3, 1));
    b.then(name + ".bn", graph::BatchNorm{});
    return b.then(name + ".act", graph::Activation{graph::ActivationKind::relu});
  };
  const int first = level("encoder.0", width);
  b.then("pool.0", graph::Pool2d{});
  const int second = level("encoder.1", 2 * width);
  b.then("pool.1", graph::Pool2d{});
  level("bottom", 4 * width);
  b.add("concat.1", graph::Concat{}, {second, b.then("up.1", graph::Upsample{2})});
  level("decoder.1", 2 * width);
  b.add("concat.0", graph::Concat{}, {first, b.then("up.0", graph::Upsample{2})});
  level("decoder.0", width);
  classifier(b, classes);
  return std::move(b).finish();
}

/// The mean of token and position embeddings through a hidden layer.
inline graph::NetworkGraph text(std::int64_t tokens, std::int64_t vocabulary, std::int64_t width,
                                std::int64_t classes) {
  graph::Builder b("text", {tokens, 1});
  b.then("words", graph::TokenEmbed{.vocabulary = vocabulary, .width = width});
  b.then("position", graph::PositionEmbed{.grid_h = tokens, .grid_w = 1});
  b.then("hidden", graph::Linear{.out_factors = {width}, .in_factors = {}});
  b.then("act", graph::Activation{graph::ActivationKind::gelu});
  classifier(b, classes);
  return std::move(b).finish();
}

/// Pre-norm transformer blocks; no batch norm.
inline graph::NetworkGraph vit(const graph::Shape& input, std::int64_t classes, std::int64_t patch = 4,
                               std::int64_t embed = 12, std::int64_t depth = 2, std::int64_t heads = 2) {
  graph::Builder b("vit", input);
  b.then("patch_embed", graph::PatchEmbed{.patch = patch, .embed_dim = embed});
  b.then("position", graph::PositionEmbed{.grid_h = input[0] / patch, .grid_w = input[1] / patch});
  for (std::int64_t block = 0; block < depth; ++block) {
    const std::string name = "blocks." + std::to_string(block);
    int skip = b.last();
    b.then(name + ".norm1", graph::LayerNorm{});
    b.then(name + ".qkv", graph::Linear{.out_factors = {3, heads, embed / heads}, .in_factors = {}});
    b.then(name + ".attn", graph::MultiHeadAttention{.heads = heads});
    b.then(name + ".proj", graph::Linear{.out_factors = {embed}, .in_factors = {heads, embed / heads}});
    skip = b.add(name + ".add1", graph::Add{}, {b.last(), skip});
    b.then(name + ".norm2", graph::LayerNorm{});
    b.then(name + ".fc1", graph::Linear{.out_factors = {2 * embed}, .in_factors = {}});
    b.then(name + ".gelu", graph::Activation{graph::ActivationKind::gelu});
    b.then(name + ".fc2", graph::Linear{.out_factors = {embed}, .in_factors = {}});
    b.add(name + ".add2", graph::Add{}, {b.last(), skip});
  }
  b.then("norm", graph::LayerNorm{});
  classifier(b, classes);
  return std::move(b).finish();
}

}  // namespace cosearch::test_networks
