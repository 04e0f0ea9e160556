#include "trainer/net/rounded_weights.hpp"

#include <algorithm>
#include <type_traits>

#include "trainer/kernels/kernels.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

/// Bits of an operator's weights where they are rounded; 0 where they are not.
std::int64_t rounded_bits(const graph::Op& op, bool all) {
  return std::visit(
      [all](const auto& concrete) -> std::int64_t {
        using Concrete = std::decay_t<decltype(concrete)>;
        if constexpr (requires { concrete.weight_bits; }) {
          return all || concrete.weight_bits != graph::kDefaultWeightBits ? concrete.weight_bits : 0;
        }
        return all && std::is_same_v<Concrete, graph::PositionEmbed> ? graph::kDefaultWeightBits : 0;
      },
      op);
}

}  // namespace

RoundedWeights::RoundedWeights(const graph::NetworkGraph& graph, const Parameters& parameters, bool all)
    : parameters_(parameters) {
  for (const Parameters::Entry& entry : parameters.entries()) {
    data_.push_back(parameters.values().data() + entry.offset);
  }
  for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
    const graph::Op& op = graph.nodes[node].op;
    if (const auto* moe = std::get_if<graph::MoeFfn>(&op); moe != nullptr && all) {
      add_mixture(static_cast<int>(node), *moe);
    }
    const std::int64_t bits = rounded_bits(op, all);
    if (bits == 0) {
      continue;
    }
    // Biases, which follow, keep 32 bits.
    const auto first = static_cast<std::size_t>(parameters.of_node(static_cast<int>(node)).front());
    const Parameters::Entry& entry = parameters.entries()[first];
    const std::int64_t channels =
        std::holds_alternative<graph::PositionEmbed>(op) ? 1 : graph::extent(entry.spec.axes.back());
    add(static_cast<int>(node), 0, bits, {1, entry.size / channels, channels});
  }
}

void RoundedWeights::add(int node, std::size_t i, std::int64_t bits, const Layout& layout) {
  const auto entry = static_cast<std::size_t>(parameters_.of_node(node)[i]);
  const auto steps = static_cast<float>((std::int64_t{1} << (bits - 1)) - 1);
  rounded_.push_back(
      {entry, steps, layout, AlignedFloats(parameters_.entries()[entry].size), AlignedFloats(layout.columns)});
  data_[entry] = rounded_.back().values.data();
}

void RoundedWeights::add_mixture(int node, const graph::MoeFfn& op) {
  constexpr std::size_t kRouter = 0, kW1 = 1, kW2 = 3, kB2 = 4;
  const auto b2 = static_cast<std::size_t>(parameters_.of_node(node)[kB2]);
  const std::int64_t features = parameters_.entries()[b2].size / op.experts;
  add(node, kRouter, graph::kDefaultWeightBits, {1, features * op.experts, 1});
  add(node, kW1, graph::kDefaultWeightBits, {op.experts, features, op.hidden});
  add(node, kW2, graph::kDefaultWeightBits, {1, op.experts * op.hidden, features});
}

void RoundedWeights::update() {
  const kernels::Dense& dense = kernels::dense(parameters_.precision());
  for_each_parallel(static_cast<std::int64_t>(rounded_.size()), [&](std::int64_t i) {
    Rounded& rounded = rounded_[static_cast<std::size_t>(i)];
    const Parameters::Entry& entry = parameters_.entries()[rounded.entry];
    const float* const from = parameters_.values().data() + entry.offset;
    const Layout& layout = rounded.layout;
    const std::int64_t block = layout.rows * layout.columns;
    for (std::int64_t first = 0; first < layout.blocks * block; first += block) {
      kernels::round_columns(layout.rows, layout.columns, rounded.steps, from + first, rounded.values.data() + first,
                             rounded.largest.data());
    }
    std::copy(from + layout.blocks * block, from + entry.size, rounded.values.data() + layout.blocks * block);
    dense.round_to_storage(entry.size, rounded.values.data());
  });
}

std::array<const float*, ops::kMostWeights> RoundedWeights::of_node(int node) const {
  std::array<const float*, ops::kMostWeights> pointers{};
  const std::span<const int> entries = parameters_.of_node(node);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    pointers.at(i) = data_[static_cast<std::size_t>(entries[i])];
  }
  return pointers;
}

}  // namespace cosearch
