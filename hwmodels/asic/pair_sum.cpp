#include "hwmodels/asic/pair_sum.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "hwmodels/asic/nest_steps.hpp"

namespace cosearch::asic {
namespace {

using ir::FootprintKind;
using Step = FlatNest::Step;

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
    stop_ = nest.outside[static_cast<std::size_t>(sum.inner) + 1];
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

}  // namespace

std::int64_t pair_sum(const FlatNest& nest, const TileSum& sum, const TileAxis& axis, CheckedArithmetic& arithmetic) {
  return PairSum(nest, sum, axis, arithmetic).total();
}

}  // namespace cosearch::asic
