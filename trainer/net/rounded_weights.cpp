#include "trainer/net/rounded_weights.hpp"

#include <cmath>
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
    const std::int64_t bits = rounded_bits(op, all);
    if (bits == 0) {
      continue;
    }
    const auto first = static_cast<std::size_t>(parameters.of_node(static_cast<int>(node)).front());
    const Parameters::Entry& entry = parameters.entries()[first];  // biases, which follow, keep 32 bits
    const std::int64_t channels =
        std::holds_alternative<graph::PositionEmbed>(op) ? 1 : graph::extent(entry.spec.axes.back());
    const auto steps = static_cast<float>((std::int64_t{1} << (bits - 1)) - 1);
    rounded_.push_back({first, steps, channels, AlignedFloats(entry.size), AlignedFloats(channels)});
    data_[first] = rounded_.back().values.data();
  }
}

void RoundedWeights::update() {
  const kernels::Dense& dense = kernels::dense(parameters_.precision());
  for_each_parallel(static_cast<std::int64_t>(rounded_.size()), [&](std::int64_t i) {
    Rounded& rounded = rounded_[static_cast<std::size_t>(i)];
    const Parameters::Entry& entry = parameters_.entries()[rounded.entry];
    kernels::round_columns(entry.size / rounded.channels, rounded.channels, rounded.steps,
                           parameters_.values().data() + entry.offset, rounded.values.data(), rounded.largest.data());
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
