#pragma once

#include <cstdint>

#include "hwmodels/attention/design.hpp"

namespace cosearch::attention {

/// y (rows, outputs) = x (rows, inputs) w (inputs, outputs) on the array: outputs stay in its elements.
struct ProductShape {
  std::int64_t instances = 1;  ///< products of this shape with operands of their own
  std::int64_t rows = 1, inputs = 1, outputs = 1;
};

struct ProductCost {
  double seconds = 0.0;
  double array_cycles = 0.0;
  double traffic_bytes = 0.0;  ///< operands once, or the smaller again for each part of the larger that fits
  double macs = 0.0;
  EnergyPj energy;

  /// `times` runs of another one after this.
  void add(const ProductCost& other, double times);
};
/// Bound by computing or by traffic, whichever takes longer; as the linear layers of FuseMax's artifact.
[[nodiscard]] ProductCost product_cost(const Design& design, const ProductShape& shape);

/// Element-wise work and reductions on the lanes: `operations` of units, what goes through DRAM.
[[nodiscard]] ProductCost lanes_cost(const Design& design, double points, const UnitCounts& operation,
                                     double traffic_bytes);

}  // namespace cosearch::attention
