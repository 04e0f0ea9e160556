#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "spaces/base/hash.hpp"
#include "spaces/graph/graph.hpp"

namespace cosearch {

/// The numbers scale * (q - zero_point) with an int8 q.
struct ValueGrid {
  float scale = 1.0F;
  float zero_point = 0.0F;
  bool operator==(const ValueGrid&) const = default;
};

/// Of the values between the layers of a mixture's experts.
struct HiddenGrids {
  ValueGrid before, behind;  ///< gelu
};

/// Values are numbered: those that leave the nodes by their nodes, then one for each mixture of experts in the order of
/// the nodes, what its experts pass to gelu. How many there are, and the second of a mixture's node.
[[nodiscard]] std::size_t value_count(const graph::NetworkGraph& graph);
[[nodiscard]] std::size_t hidden_value(const graph::NetworkGraph& graph, int node);

/// Runs a network in floating point as it is when it is quantised: all matrices of weights rounded (`RoundedWeights`)
/// and values brought to their grids (`kernels::round_to_int8`), batch norms with their running statistics, in training
/// too, so that they are the scale and shift per channel that quantisation folds into the weights: rounding a channel
/// commutes with scaling it. Gradients pass roundings and clippings unchanged.
struct Simulation {
  /// Of each node's value, nothing where it keeps all its bits; empty: no simulation at all.
  std::vector<std::optional<ValueGrid>> grids = {};
  /// By the nodes of mixtures of experts; empty: their hidden values keep all bits.
  std::vector<std::optional<HiddenGrids>> hidden = {};

  [[nodiscard]] bool active() const noexcept { return !grids.empty(); }
};

/// Adds everything about a simulation that decides what is trained under it.
void add_to(Hasher& hasher, const Simulation& simulation);

/// Sees a value (by number) on a chunk of samples, (samples, shape...), hidden ones of mixtures (choices, hidden);
/// called from several threads at once, in no order.
using ValueObserver = std::function<void(std::size_t value, std::span<const float> values)>;

}  // namespace cosearch
