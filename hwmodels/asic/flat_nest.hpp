#pragma once

#include <array>
#include <cstdint>

#include "hwmodels/asic/loop_nest.hpp"

namespace cosearch::asic {

/// Non-trivial loops of a nest, innermost first, spatial loops over x and y of one level and loop as one.
struct FlatNest {
  struct Step {
    int dim = 0;
    int level = 0;
    bool spatial = false;
    std::int64_t step = 1;
    std::int64_t extent = 1;
    std::int64_t count = 1;  ///< steps in `extent`
    bool divides = true;
  };

  /// Of a well-formed nest.
  FlatNest(const LoopNest& nest, int levels, int dims);

  /// Steps in space between the level `inner` (-1: the MACs) and `outer`.
  [[nodiscard]] bool has_spatial(int inner, int outer) const noexcept;

  std::array<Step, kMaxSteps> steps{};
  int size = 0;
  std::array<int, kMaxLevels + 1> outside{};  ///< [level + 1]: first step of the levels beyond; [0]: all steps
  std::array<std::array<std::int64_t, kMaxDims>, kMaxLevels> tile{};  ///< extents of what one instance works on
  std::array<std::int64_t, kMaxDims> whole{};                         ///< extents of the einsum
  std::array<std::array<std::uint8_t, kMaxSteps>, kMaxDims> chain{};  ///< steps over one dim, innermost first
  std::array<int, kMaxDims> chain_size{};
  std::array<std::uint32_t, kMaxDims> spatial_levels{};  ///< bit by level: has spatial steps over the dim
  std::array<Grid, kMaxLevels> spatial{};                ///< instances used of what lies inside of the level
  int dims = 0;
  bool divides = true;  ///< all steps do
};

}  // namespace cosearch::asic
