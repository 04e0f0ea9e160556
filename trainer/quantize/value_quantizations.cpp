#include <algorithm>
#include <cmath>
#include <numeric>

#include "spaces/base/check.hpp"
#include "trainer/quantize/quantize.hpp"
#include "trainer/quantize/quantize_mixture.hpp"
#include "trainer/quantize/values.hpp"

namespace cosearch::quantize {
namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// Whether the operator, as a call of its own, gives numbers that its input can have, and so keeps its quantisation.
bool keeps_quantization(const graph::Op& op) {
  if (const auto* pool = std::get_if<graph::Pool2d>(&op)) {
    return pool->kind == graph::PoolKind::max;
  }
  if (const auto* activation = std::get_if<graph::Activation>(&op)) {
    return !is_table(activation->kind);
  }
  return std::holds_alternative<graph::Upsample>(op);
}

}  // namespace

bool is_table(graph::ActivationKind kind) {
  return kind == graph::ActivationKind::hard_swish || kind == graph::ActivationKind::gelu;
}

Quantization quantization_of(const ValueRange& range, bool symmetric, double least_scale) {
  const double low = std::min(0.0, range.low);
  const double high = std::max(0.0, range.high);
  const double span = symmetric ? std::max(-low, high) / kHighest : (high - low) / (kHighest - kLowest);
  double scale = std::max(span, least_scale);
  if (!(scale >= kLeastScale)) {  // a value that is always 0
    scale = 1.0;
  }
  Quantization quantization{.scale = scale, .zero_point = 0};
  if (!symmetric) {
    quantization.zero_point =
        static_cast<std::int32_t>(std::clamp(std::round(kLowest - low / scale), double{kLowest}, double{kHighest}));
  }
  return quantization;
}

ValueGroups::ValueGroups(const graph::NetworkGraph& graph)
    : chains(fused_chains(graph)), own(graph.nodes.size()), symmetric(graph.nodes.size(), false) {
  std::iota(own.begin(), own.end(), 0);
  for (const std::vector<int>& chain : chains) {
    const graph::Node& node = graph.nodes[index(chain.front())];
    const int last = chain.back();
    if (chain.size() == 1 && keeps_quantization(node.op)) {
      own[index(last)] = own[index(node.inputs.front())];
    }
    if (std::holds_alternative<graph::MultiHeadAttention>(node.op)) {
      symmetric[index(own[index(node.inputs.front())])] = true;
    }
    const std::optional<int> before = table_input(graph, chain);
    for (const int inner : chain) {
      own[index(inner)] = before && inner == *before ? inner : own[index(last)];
    }
  }
}

std::optional<int> table_input(const graph::NetworkGraph& graph, const std::vector<int>& chain) {
  const auto* activation = std::get_if<graph::Activation>(&graph.nodes[index(chain.back())].op);
  if (chain.size() < 2 || activation == nullptr || !is_table(activation->kind)) {
    return std::nullopt;
  }
  return chain[chain.size() - 2];
}

std::vector<Quantization> value_quantizations(const graph::NetworkGraph& graph, const std::vector<ValueRange>& ranges) {
  COSEARCH_CHECK(ranges.size() == value_count(graph), "one range for each value");
  const ValueGroups groups(graph);
  std::vector<Quantization> values(graph.nodes.size());
  for (std::size_t node = 0; node < values.size(); ++node) {
    const int own = groups.own[node];
    values[node] = quantization_of(ranges[index(own)], groups.symmetric[index(own)], 0.0);
  }
  return values;
}

Simulation simulate(const graph::NetworkGraph& graph, const std::vector<ValueRange>& ranges) {
  const std::vector<Quantization> values = value_quantizations(graph, ranges);
  Simulation simulation{std::vector<std::optional<ValueGrid>>(graph.nodes.size())};
  simulation.hidden.resize(graph.nodes.size());
  const auto grid = [](const Quantization& value) {
    return ValueGrid{static_cast<float>(value.scale), static_cast<float>(value.zero_point)};
  };
  const auto round = [&](int node) { simulation.grids[index(node)] = grid(values[index(node)]); };
  round(0);
  for (const std::vector<int>& chain : fused_chains(graph)) {
    round(chain.back());
    if (const std::optional<int> before = table_input(graph, chain)) {
      round(*before);
    }
    if (std::holds_alternative<graph::MoeFfn>(graph.nodes[index(chain.front())].op)) {
      const HiddenQuantizations hidden = hidden_quantizations(ranges[hidden_value(graph, chain.front())], 0.0);
      simulation.hidden[index(chain.front())] = {grid(hidden.before), grid(hidden.behind)};
    }
  }
  return simulation;
}

}  // namespace cosearch::quantize
