#pragma once

#include <string>

#include "hwmodels/model.hpp"

namespace cosearch::cli {

/// A picture (SVG) of a cost: one stacked bar per layer, its energy by component, as the model's `parts` in pJ tell it.
/// Layers with less than 0.2 % of the energy are drawn together. Empty where the model tells no components.
[[nodiscard]] std::string energy_svg(const Cost& cost, const std::string& title);

}  // namespace cosearch::cli
