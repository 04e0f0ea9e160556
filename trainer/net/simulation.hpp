#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace cosearch {

/// The numbers scale * (q - zero_point) with an int8 q.
struct ValueGrid {
  float scale = 1.0F;
  float zero_point = 0.0F;
  bool operator==(const ValueGrid&) const = default;
};

/// Runs a network in floating point as it is when it is quantised: all matrices of weights rounded (`RoundedWeights`)
/// and values brought to their grids (`kernels::round_to_int8`), batch norms with their running statistics, in training
/// too, so that they are the scale and shift per channel that quantisation folds into the weights: rounding a channel
/// commutes with scaling it. Gradients pass roundings and clippings unchanged.
struct Simulation {
  /// Of each node's value, nothing where it keeps all its bits; empty: no simulation at all.
  std::vector<std::optional<ValueGrid>> grids = {};

  [[nodiscard]] bool active() const noexcept { return !grids.empty(); }
};

/// Sees a node's values on a chunk of samples, (samples, shape...); called from several threads at once, in no order.
using ValueObserver = std::function<void(int node, std::span<const float> values)>;

}  // namespace cosearch
