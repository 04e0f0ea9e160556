#include "hwmodels/asic/nest_sums.hpp"

#include <algorithm>

#include "hwmodels/asic/nest_steps.hpp"
#include "hwmodels/asic/pair_sum.hpp"

namespace cosearch::asic {
namespace {

using ir::FootprintKind;
using Step = FlatNest::Step;

/// Tiles along one loop: how many, and the sum of their extents.
struct Blocks {
  std::int64_t count = 0;
  std::int64_t total = 0;
};

/// `relevant`: the loop moves the tile, so that merging networks find no equal tiles along it. Smaller blocks visit a
/// prefix of what larger ones visit, so among steps that do not count the first one stands for all.
Blocks blocks(const FlatNest& nest, const TileSum& sum, int dim, bool relevant, int position, std::int64_t block) {
  const auto& chain = nest.chain[static_cast<std::size_t>(dim)];
  const int stop = nest.outside[static_cast<std::size_t>(sum.inner) + 1];
  Blocks result;
  std::int64_t times = 1;
  for (; position >= 0 && chain[static_cast<std::size_t>(position)] >= stop; --position) {
    const int index = chain[static_cast<std::size_t>(position)];
    const Step& step = nest.steps[static_cast<std::size_t>(index)];
    const Treatment how = treatment(sum, step, index);
    if (how == Treatment::first || (how == Treatment::merged && !relevant)) {
      block = std::min(block, step.step);
      continue;
    }
    const Division parts = divide(block, step);
    if (parts.quotient == 0) {
      continue;
    }
    if (parts.remainder > 0) {
      const Blocks rest = blocks(nest, sum, dim, relevant, position - 1, parts.remainder);
      result.count += times * rest.count;
      result.total += times * rest.total;
    }
    times *= parts.quotient;
    block = step.step;
  }
  return {result.count + times, result.total + times * block};
}

Blocks blocks(const FlatNest& nest, const TileSum& sum, int dim, bool relevant) {
  const auto d = static_cast<std::size_t>(dim);
  return blocks(nest, sum, dim, relevant, nest.chain_size[d] - 1, nest.whole[d]);
}

std::int64_t axis_elements(const TileAxis& axis, const std::array<std::int64_t, kMaxDims>& extents,
                           FootprintKind footprint) {
  if (axis.loop_a < 0) {
    return 1;
  }
  const std::int64_t m = extents[static_cast<std::size_t>(axis.loop_a)];
  const std::int64_t n = axis.loop_b < 0 ? 1 : extents[static_cast<std::size_t>(axis.loop_b)];
  return footprint == FootprintKind::exact ? different_values(axis.reduced_a, axis.reduced_b, m, n)
                                           : axis.a * (m - 1) + axis.b * (n - 1) + 1;
}

}  // namespace

std::int64_t different_values(std::int64_t a, std::int64_t b, std::int64_t m, std::int64_t n) noexcept {
  return m * n - (m > b && n > a ? (m - b) * (n - a) : 0);
}

std::int64_t tile_elements(const TileAccess& access, const std::array<std::int64_t, kMaxDims>& extents,
                           FootprintKind footprint, CheckedArithmetic& arithmetic) {
  std::int64_t product = 1;
  for (int axis = 0; axis < access.axis_count; ++axis) {
    product =
        arithmetic.multiply(product, axis_elements(access.axes[static_cast<std::size_t>(axis)], extents, footprint));
  }
  return product;
}

std::int64_t MovedElements::along_axis(const TileAxis& axis, const TileSum& sum) {
  if (axis.loop_b < 0) {
    const Blocks along = blocks(nest_, sum, axis.loop_a, true);
    return sum.footprint == FootprintKind::exact ? along.total : axis.a * (along.total - along.count) + along.count;
  }
  TileSum of_axis = sum;
  if (sum.slide >= 0) {
    const int dim = nest_.steps[static_cast<std::size_t>(sum.slide)].dim;
    of_axis.slide = dim == axis.loop_a || dim == axis.loop_b ? sum.slide : -1;
  }
  return pair_sum(nest_, of_axis, axis, arithmetic_);
}

std::int64_t MovedElements::of(const TileSum& sum) {
  const std::uint32_t beyond = ~0U << static_cast<unsigned>(sum.outer + 1);
  const std::uint32_t first = sum.first ? beyond : 0U;
  const std::uint32_t merged = sum.merged & ~beyond;
  // Levels whose spatial loops are not treated as in the sum before.
  const std::uint32_t changed = known_ ? (first ^ first_) | (merged ^ merged_) : ~0U;
  const auto is_new = [&](int dim) {
    return !known_ || (dim >= 0 && (nest_.spatial_levels[static_cast<std::size_t>(dim)] & changed) != 0);
  };
  std::int64_t product = 1;
  for (int i = 0; i < access_.axis_count; ++i) {
    const TileAxis& axis = access_.axes[static_cast<std::size_t>(i)];
    std::int64_t& factor = axes_[static_cast<std::size_t>(i)];
    if (is_new(axis.loop_a) || is_new(axis.loop_b)) {
      factor = along_axis(axis, sum);
    }
    product = arithmetic_.multiply(product, factor);
  }
  for (int dim = 0; dim < nest_.dims; ++dim) {
    const auto d = static_cast<std::size_t>(dim);
    if (((access_.loops >> static_cast<unsigned>(dim)) & 1U) == 0 && nest_.chain_size[d] > 0) {
      if (is_new(dim)) {
        others_[d] = blocks(nest_, sum, dim, false).count;
      }
      product = arithmetic_.multiply(product, others_[d]);
    }
  }
  known_ = true;
  first_ = first;
  merged_ = merged;
  return product;
}

std::int64_t time_steps(const FlatNest& nest, CheckedArithmetic& arithmetic) {
  // The first instance of the outermost level's inner network runs in every step.
  TileSum sum;
  sum.first = true;
  sum.outer = -1;
  std::int64_t product = 1;
  for (int dim = 0; dim < nest.dims; ++dim) {
    product = arithmetic.multiply(product, blocks(nest, sum, dim, true).count);
  }
  return product;
}

std::int64_t used_instances(const FlatNest& nest, int level, CheckedArithmetic& arithmetic) {
  TileSum sum;
  sum.inner = level;
  sum.outer = level;
  sum.kept_until = nest.size;
  std::int64_t product = 1;
  for (int dim = 0; dim < nest.dims; ++dim) {
    product = arithmetic.multiply(product, blocks(nest, sum, dim, true).count);
  }
  return product;
}

std::int64_t distinct_outputs(const FlatNest& nest, const TileAccess& access, int level, bool first,
                              CheckedArithmetic& arithmetic) {
  TileSum sum;
  sum.inner = level;
  sum.outer = level;
  sum.first = first;
  std::int64_t product = 1;
  for (int dim = 0; dim < nest.dims; ++dim) {
    const bool relevant = ((access.loops >> static_cast<unsigned>(dim)) & 1U) != 0;
    // Steps of time over a reduction come back to the same elements.
    sum.kept_until = relevant ? 0 : nest.size;
    const Blocks along = blocks(nest, sum, dim, relevant);
    product = arithmetic.multiply(product, relevant ? along.total : along.count);
  }
  return product;
}

void set_reuse(const FlatNest& nest, const TileAccess& access, TileSum& sum) {
  sum.kept_until = 0;
  sum.slide = -1;
  if (sum.inner < 0) {
    return;
  }
  for (int i = nest.outside[static_cast<std::size_t>(sum.inner) + 1]; i < nest.size; ++i) {
    const Step& step = nest.steps[static_cast<std::size_t>(i)];
    if (step.spatial) {
      continue;
    }
    if (((access.loops >> static_cast<unsigned>(step.dim)) & 1U) != 0) {
      sum.slide = sum.kept_until == 0 ? i : -1;
      return;
    }
    sum.kept_until = i + 1;
  }
}

}  // namespace cosearch::asic
