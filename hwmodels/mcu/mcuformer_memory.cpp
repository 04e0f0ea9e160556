#include "hwmodels/mcu/mcuformer_memory.hpp"

#include <algorithm>

#include "spaces/base/check.hpp"
#include "spaces/base/expected.hpp"

namespace cosearch::mcu {
namespace {

using graph::Linear;
using graph::NetworkGraph;
using graph::Node;
using graph::Shape;

/// The layer whose last factor is the node.
McuformerLayer layer_of(const NetworkGraph& network, const std::vector<Shape>& shapes, int last) {
  const auto features = [&](int node) { return shapes[static_cast<std::size_t>(node)].back(); };
  const std::int64_t tokens = shapes[static_cast<std::size_t>(last)].front() + 1;
  McuformerLayer layer;
  layer.name = network.nodes[static_cast<std::size_t>(last)].name;
  layer.output_bytes = tokens * features(last);
  for (int factor = last;;) {
    const int input = network.nodes[static_cast<std::size_t>(factor)].inputs.front();
    layer.weight_bytes = std::max(layer.weight_bytes, features(input) * features(factor));
    if (!std::holds_alternative<Linear>(network.nodes[static_cast<std::size_t>(input)].op)) {
      return layer;
    }
    layer.intermediate_bytes = std::max(layer.intermediate_bytes, tokens * features(input));
    factor = input;
  }
}

/// Linear maps of tokens whose output goes into an activation or, with `attention`, into an attention; in order.
std::vector<int> linear_maps(const NetworkGraph& network, const std::vector<Shape>& shapes, bool attention) {
  std::vector<int> maps;
  for (const Node& node : network.nodes) {
    if (!std::holds_alternative<graph::Activation>(node.op) &&
        !(attention && std::holds_alternative<graph::MultiHeadAttention>(node.op))) {
      continue;
    }
    const auto input = static_cast<std::size_t>(node.inputs.front());
    if (shapes[input].size() == 2 && std::holds_alternative<Linear>(network.nodes[input].op)) {
      maps.push_back(node.inputs.front());
    }
  }
  return maps;
}

std::vector<Shape> shapes_of(const NetworkGraph& network) {
  Expected<std::vector<Shape>, std::string> shapes = graph::infer_shapes(network);
  COSEARCH_CHECK(shapes.has_value(), "a malformed network");
  return *std::move(shapes);
}

}  // namespace

std::vector<McuformerLayer> mcuformer_layers(const NetworkGraph& network) {
  const std::vector<Shape> shapes = shapes_of(network);
  std::vector<McuformerLayer> layers;
  for (const int last : linear_maps(network, shapes, true)) {
    layers.push_back(layer_of(network, shapes, last));
  }
  return layers;
}

std::int64_t mcuformer_peak_bytes(const NetworkGraph& network) {
  std::int64_t peak = 0;
  for (const McuformerLayer& layer : mcuformer_layers(network)) {
    peak = std::max(peak, layer.bytes());
  }
  return peak;
}

std::optional<McuformerLayer> mcuformer_supernet_layer(const NetworkGraph& network) {
  const std::vector<Shape> shapes = shapes_of(network);
  const auto features = [&](int node) { return shapes[static_cast<std::size_t>(node)].back(); };
  const std::vector<int> maps = linear_maps(network, shapes, false);
  const auto embedding = std::find_if(network.nodes.begin(), network.nodes.end(), [](const Node& node) {
    return std::holds_alternative<graph::PatchEmbed>(node.op);
  });
  if (maps.empty() || embedding == network.nodes.end()) {
    return std::nullopt;
  }
  const auto& cut = std::get<graph::PatchEmbed>(embedding->op);
  const Shape& image = shapes[static_cast<std::size_t>(embedding->inputs.front())];
  const int widest =
      *std::max_element(maps.begin(), maps.end(), [&](int a, int b) { return features(a) < features(b); });
  const Node& last = network.nodes[static_cast<std::size_t>(widest)];
  McuformerLayer layer;
  layer.name = last.name;
  layer.weight_bytes = features(last.inputs.front()) * features(widest);
  // (N + 1) tokens: pixels and one more patch, in units of a patch's pixels.
  const std::int64_t patch_pixels = cut.patch * cut.patch;
  const std::int64_t pixels = image[0] * image[1] + patch_pixels;
  layer.input_bytes = pixels * cut.embed_dim / patch_pixels;
  const std::int64_t all_pixels = pixels * (cut.embed_dim + features(widest));
  layer.output_bytes = (all_pixels + patch_pixels - 1) / patch_pixels - layer.input_bytes;
  return layer;
}

}  // namespace cosearch::mcu
