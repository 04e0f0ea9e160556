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

}  // namespace

std::vector<McuformerLayer> mcuformer_layers(const NetworkGraph& network) {
  const Expected<std::vector<Shape>, std::string> shapes = graph::infer_shapes(network);
  COSEARCH_CHECK(shapes.has_value(), "a malformed network");
  std::vector<McuformerLayer> layers;
  for (const Node& node : network.nodes) {
    if (!std::holds_alternative<graph::MultiHeadAttention>(node.op) &&
        !std::holds_alternative<graph::Activation>(node.op)) {
      continue;
    }
    const int input = node.inputs.front();
    const bool of_tokens = (*shapes)[static_cast<std::size_t>(input)].size() == 2;
    if (of_tokens && std::holds_alternative<Linear>(network.nodes[static_cast<std::size_t>(input)].op)) {
      layers.push_back(layer_of(network, *shapes, input));
    }
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

}  // namespace cosearch::mcu
