#pragma once

#include <cstdint>

#include "hwmodels/asic/nest_sums.hpp"

/// Inside of hwmodels/asic: sums over tiles along an axis that two loops share.
namespace cosearch::asic {

/// Elements that move along the axis, which has two loops, summed over the tiles of `sum`. A slide is over one of them.
[[nodiscard]] std::int64_t pair_sum(const FlatNest& nest, const TileSum& sum, const TileAxis& axis,
                                    CheckedArithmetic& arithmetic);

}  // namespace cosearch::asic
