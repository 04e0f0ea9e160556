#pragma once

#include <cstdint>

#include "hwmodels/asic/nest_sums.hpp"

/// Inside of hwmodels/asic: single loops of a nest in sums over tiles.
namespace cosearch::asic {

/// How a sum treats a loop: every step is a tile of its own, only the first step counts, or equal tiles among the
/// steps count once.
enum class Treatment { each, first, merged };

inline Treatment treatment(const TileSum& sum, const FlatNest::Step& step, int index) {
  if (!step.spatial) {
    return index < sum.kept_until ? Treatment::first : Treatment::each;
  }
  if (step.level > sum.outer) {
    return sum.first ? Treatment::first : Treatment::each;
  }
  return ((sum.merged >> static_cast<unsigned>(step.level)) & 1U) != 0 ? Treatment::merged : Treatment::each;
}

/// Quotient and remainder of a block by a step.
struct Division {
  std::int64_t quotient;
  std::int64_t remainder;
};
inline Division divide(std::int64_t block, const FlatNest::Step& step) {
  if (block == step.extent && step.divides) {
    return {step.count, 0};
  }
  const std::int64_t quotient = block / step.step;
  return {quotient, block - quotient * step.step};
}

}  // namespace cosearch::asic
