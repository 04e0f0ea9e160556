#include "trainer/net/simulation.hpp"

#include <algorithm>
#include <variant>

namespace cosearch {
namespace {

std::size_t mixtures(std::span<const graph::Node> nodes) {
  return static_cast<std::size_t>(std::count_if(nodes.begin(), nodes.end(), [](const graph::Node& node) {
    return std::holds_alternative<graph::MoeFfn>(node.op);
  }));
}

}  // namespace

std::size_t value_count(const graph::NetworkGraph& graph) { return graph.nodes.size() + mixtures(graph.nodes); }

std::size_t hidden_value(const graph::NetworkGraph& graph, int node) {
  return graph.nodes.size() + mixtures(std::span(graph.nodes).first(static_cast<std::size_t>(node)));
}

}  // namespace cosearch
