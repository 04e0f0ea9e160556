#include "hwmodels/asic/nest_sums.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace cosearch::asic {
namespace {

using ir::FootprintKind;
using Step = FlatNest::Step;

/// How a sum treats a loop: every step is a tile of its own, only the first step counts, or equal tiles among the
/// steps count once.
enum class Treatment { each, first, merged };

Treatment treatment(const TileSum& sum, const Step& step, int index) {
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
Division divide(std::int64_t block, const Step& step) {
  if (block == step.extent && step.divides) {
    return {step.count, 0};
  }
  const std::int64_t quotient = block / step.step;
  return {quotient, block - quotient * step.step};
}

/// Tiles along one loop: how many, and the sum of their extents.
struct Blocks {
  std::int64_t count = 0;
  std::int64_t total = 0;
};

/// `relevant`: the loop moves the tile, so that merging networks find no equal tiles along it. Smaller blocks visit a
/// prefix of what larger ones visit, so among steps that do not count the first one stands for all.
Blocks blocks(const FlatNest& nest, const TileSum& sum, int dim, bool relevant, int position, std::int64_t block) {
  const auto& chain = nest.chain[static_cast<std::size_t>(dim)];
  const int stop = nest.outside[static_cast<std::size_t>(sum.inner + 1)];
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

/// Values that a window of `now` steps of a shares with one of `before` steps that starts `shift` steps earlier, both
/// over n steps of b. Values fall into residue classes of b's steps modulo a; within a class, steps of a lie in pieces
/// b apart.
class SharedValues {
 public:
  SharedValues(std::int64_t a, std::int64_t b, std::int64_t before, std::int64_t shift, std::int64_t now)
      : a_(a), b_(b), before_(before), shift_(shift), now_(now) {}

  [[nodiscard]] std::int64_t count(std::int64_t n) const {
    const std::int64_t pieces = (n - 1) / a_ + 1;
    const std::int64_t classes = std::min(a_, n);
    const std::int64_t full = n - (pieces - 1) * a_;
    std::int64_t shared = full * in_class(pieces);
    if (full < classes) {
      shared += (classes - full) * in_class(pieces - 1);
    }
    return shared;
  }

 private:
  /// Steps below x that the earlier window covers in a class of `pieces` pieces.
  [[nodiscard]] std::int64_t covered_below(std::int64_t x, std::int64_t pieces) const {
    if (x <= 0) {
      return 0;
    }
    if (before_ >= b_) {
      return std::min(x, b_ * (pieces - 1) + before_);
    }
    const std::int64_t whole = std::min(x / b_, pieces);
    return whole * before_ + (whole < pieces ? std::min(x - whole * b_, before_) : 0);
  }
  [[nodiscard]] std::int64_t in_class(std::int64_t pieces) const {
    std::int64_t shared = 0;
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      const std::int64_t begin = shift_ + b_ * piece;
      const std::int64_t end = begin + (piece + 1 < pieces ? std::min(now_, b_) : now_);
      shared += covered_below(end, pieces) - covered_below(begin, pieces);
    }
    return shared;
  }

  std::int64_t a_, b_, before_, shift_, now_;
};

/// Sum over the tiles of an axis of two loops.
class PairSum {
 public:
  PairSum(const FlatNest& nest, const TileSum& sum, const TileAxis& axis, CheckedArithmetic& arithmetic)
      : nest_(nest), sum_(sum), axis_(axis), arithmetic_(arithmetic) {
    if (sum.slide >= 0) {
      const Step& slide = nest.steps[static_cast<std::size_t>(sum.slide)];
      if (slide.dim == axis.loop_b) {  // the sliding loop is loop a
        std::swap(axis_.loop_a, axis_.loop_b);
        std::swap(axis_.a, axis_.b);
        std::swap(axis_.reduced_a, axis_.reduced_b);
      }
      shift_ = slide.step;
    }
    chain_[0] = static_cast<std::size_t>(axis_.loop_a);
    chain_[1] = static_cast<std::size_t>(axis_.loop_b);
    stop_ = nest.outside[static_cast<std::size_t>(sum.inner + 1)];
  }

  [[nodiscard]] std::int64_t total() {
    return over({{nest_.chain_size[chain_[0]] - 1, nest_.chain_size[chain_[1]] - 1},
                 {nest_.whole[chain_[0]], nest_.whole[chain_[1]]},
                 0});
  }

 private:
  /// Positions in the chains of both loops, the blocks there, and how much of loop a's block the instance held one step
  /// of the sliding loop earlier.
  struct State {
    std::array<int, 2> position;
    std::array<std::int64_t, 2> block;
    std::int64_t before;
  };

  [[nodiscard]] int index(const State& state, int which) const {
    const int position = state.position[static_cast<std::size_t>(which)];
    return position < 0 ? -1 : nest_.chain[chain_[static_cast<std::size_t>(which)]][static_cast<std::size_t>(position)];
  }

  /// The block of step `quotient` of a loop: the one of extent `block`, of loop `which`.
  static State inside(const State& state, int which, std::int64_t block, const Step& step, std::int64_t quotient) {
    State next = state;
    const auto w = static_cast<std::size_t>(which);
    --next.position[w];
    next.block[w] = block;
    if (which == 0 && state.before > 0) {
      next.before = std::min(step.step, state.before - quotient * step.step);
    }
    return next;
  }

  std::int64_t over(State state) {
    std::int64_t result = 0;
    std::int64_t times = 1;
    while (true) {
      const int a = index(state, 0);
      const int b = index(state, 1);
      if (std::max(a, b) < stop_) {
        return arithmetic_.add(result, arithmetic_.multiply(times, width(state)));
      }
      const int which = a > b ? 0 : 1;
      const auto w = static_cast<std::size_t>(which);
      const Step& step = nest_.steps[static_cast<std::size_t>(std::max(a, b))];
      const Treatment how = treatment(sum_, step, std::max(a, b));
      if (how == Treatment::first) {
        state = inside(state, which, std::min(state.block[w], step.step), step, 0);
        continue;
      }
      if (std::max(a, b) == sum_.slide) {
        return arithmetic_.add(result, arithmetic_.multiply(times, over_slide(state, step)));
      }
      if (how == Treatment::merged && std::min(a, b) >= stop_) {
        const Step& other = nest_.steps[static_cast<std::size_t>(std::min(a, b))];
        if (other.spatial && other.level == step.level) {
          return arithmetic_.add(result, arithmetic_.multiply(times, over_grid(state, which, step, other)));
        }
      }
      const Division parts = divide(state.block[w], step);
      if (parts.quotient > 0 && parts.remainder > 0) {
        const State rest = inside(state, which, parts.remainder, step, parts.quotient);
        result = arithmetic_.add(result, arithmetic_.multiply(times, over(rest)));
      }
      times = parts.quotient > 0 ? arithmetic_.multiply(times, parts.quotient) : times;
      state = inside(state, which, parts.quotient > 0 ? step.step : state.block[w], step, 0);
    }
  }

  /// The first step loads whole tiles, the others what the step before did not have.
  std::int64_t over_slide(const State& state, const Step& step) {
    const auto visit = [&](std::int64_t block, std::int64_t before) {
      State next = state;
      --next.position[0];
      next.block[0] = block;
      next.before = before;
      return over(next);
    };
    const Division parts = divide(state.block[0], step);
    if (parts.quotient == 0) {
      return visit(state.block[0], 0);
    }
    std::int64_t sum = visit(step.step, 0);
    if (parts.quotient > 1) {
      sum = arithmetic_.add(sum, arithmetic_.multiply(parts.quotient - 1, visit(step.step, step.step)));
    }
    return parts.remainder > 0 ? arithmetic_.add(sum, visit(parts.remainder, step.step)) : sum;
  }

  /// Both loops lie side by side on the instances of a level whose network merges: instances with equal tiles at the
  /// same place count once. Shorter last tiles are equal to no others.
  std::int64_t over_grid(const State& state, int outer, const Step& outer_step, const Step& inner_step) {
    const Step& step_a = outer == 0 ? outer_step : inner_step;
    const Step& step_b = outer == 0 ? inner_step : outer_step;
    const Division a = divide(state.block[0], step_a);
    const Division b = divide(state.block[1], step_b);
    const auto visit = [&](bool rest_a, bool rest_b) {
      const State next = inside(state, 0, rest_a ? a.remainder : step_a.step, step_a, rest_a ? a.quotient : 0);
      return over(inside(next, 1, rest_b ? b.remainder : step_b.step, step_b, 0));
    };
    std::int64_t sum = 0;
    if (a.quotient > 0 && b.quotient > 0) {
      const std::int64_t stride_a = arithmetic_.multiply(axis_.a, step_a.step);
      const std::int64_t stride_b = arithmetic_.multiply(axis_.b, step_b.step);
      const std::int64_t divisor = std::gcd(stride_a, stride_b);
      const std::int64_t places = different_values(stride_a / divisor, stride_b / divisor, a.quotient, b.quotient);
      sum = arithmetic_.multiply(places, visit(false, false));
    }
    if (a.remainder > 0 && b.quotient > 0) {
      sum = arithmetic_.add(sum, arithmetic_.multiply(b.quotient, visit(true, false)));
    }
    if (a.quotient > 0 && b.remainder > 0) {
      sum = arithmetic_.add(sum, arithmetic_.multiply(a.quotient, visit(false, true)));
    }
    return a.remainder > 0 && b.remainder > 0 ? arithmetic_.add(sum, visit(true, true)) : sum;
  }

  /// New elements of one tile along the axis.
  [[nodiscard]] std::int64_t width(const State& state) {
    const std::int64_t m = state.block[0];
    const std::int64_t n = state.block[1];
    if (sum_.footprint == FootprintKind::exact) {
      const std::int64_t all = different_values(axis_.reduced_a, axis_.reduced_b, m, n);
      return state.before == 0 ? all
                               : all - SharedValues(axis_.reduced_a, axis_.reduced_b, state.before, shift_, m).count(n);
    }
    const std::int64_t window = axis_.b * (n - 1) + 1;
    const std::int64_t all = axis_.a * (m - 1) + window;
    return state.before == 0 ? all
                             : all - std::clamp<std::int64_t>(axis_.a * (state.before - 1 - shift_) + window, 0, all);
  }

  const FlatNest& nest_;
  const TileSum& sum_;
  TileAxis axis_;
  CheckedArithmetic& arithmetic_;
  std::array<std::size_t, 2> chain_{};
  int stop_ = 0;
  std::int64_t shift_ = 0;
};

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

std::int64_t moved_elements(const FlatNest& nest, const TileAccess& access, const TileSum& sum,
                            CheckedArithmetic& arithmetic) {
  std::int64_t product = 1;
  for (int i = 0; i < access.axis_count; ++i) {
    const TileAxis& axis = access.axes[static_cast<std::size_t>(i)];
    if (axis.loop_a < 0) {
      continue;
    }
    if (axis.loop_b < 0) {
      const Blocks along = blocks(nest, sum, axis.loop_a, true);
      const std::int64_t elements =
          sum.footprint == FootprintKind::exact ? along.total : axis.a * (along.total - along.count) + along.count;
      product = arithmetic.multiply(product, elements);
      continue;
    }
    TileSum of_axis = sum;
    if (sum.slide >= 0) {
      const int dim = nest.steps[static_cast<std::size_t>(sum.slide)].dim;
      of_axis.slide = dim == axis.loop_a || dim == axis.loop_b ? sum.slide : -1;
    }
    product = arithmetic.multiply(product, PairSum(nest, of_axis, axis, arithmetic).total());
  }
  for (int dim = 0; dim < nest.dims; ++dim) {
    if (((access.loops >> static_cast<unsigned>(dim)) & 1U) == 0 &&
        nest.chain_size[static_cast<std::size_t>(dim)] > 0) {
      product = arithmetic.multiply(product, blocks(nest, sum, dim, false).count);
    }
  }
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
