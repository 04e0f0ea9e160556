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

void add_grid(Hasher& hasher, const ValueGrid& grid) {
  hasher.add(static_cast<double>(grid.scale)).add(static_cast<double>(grid.zero_point));
}

}  // namespace

std::size_t value_count(const graph::NetworkGraph& graph) { return graph.nodes.size() + mixtures(graph.nodes); }

std::size_t hidden_value(const graph::NetworkGraph& graph, int node) {
  return graph.nodes.size() + mixtures(std::span(graph.nodes).first(static_cast<std::size_t>(node)));
}

void add_to(Hasher& hasher, const Simulation& simulation) {
  for (const std::optional<ValueGrid>& grid : simulation.grids) {
    hasher.add(grid.has_value());
    add_grid(hasher, grid.value_or(ValueGrid{0.0F, 0.0F}));
  }
  for (const std::optional<HiddenGrids>& grids : simulation.hidden) {
    if (grids) {
      add_grid(hasher, grids->before);
      add_grid(hasher, grids->behind);
    }
  }
}

}  // namespace cosearch
