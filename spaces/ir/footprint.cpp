#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/ir/checked.hpp"
#include "spaces/ir/workload.hpp"

// Counting the different values of affine index vectors over a box of loop values.
//
// An axis alone is a sum of strides; its values are kept as intervals, so dense and strided tiles cost a few steps.
// Axes that share a loop are connected and counted together: an axis that determines its loops (a diagonal, x[i,i+j])
// is taken out by fixing them, and only what is left (x[i+j,i+k]) is built value by value.
namespace cosearch::ir {
namespace {

/// A loop that runs over `count` > 1 values and moves the axis by `stride` != 0.
struct Step {
  int loop = 0;
  std::int64_t stride = 0;
  std::int64_t count = 1;
};

/// One axis of a tile: the index is base + sum of stride * t, t in [0, count); legal indices are [0, extent).
struct Axis {
  std::vector<Step> steps;
  std::int64_t base = 0;
  std::int64_t extent = 0;
};

std::vector<Axis> tile_axes(const Access& access, const std::vector<std::int64_t>& tile,
                            const std::vector<std::int64_t>* origin, const Tensor* tensor) {
  std::vector<Axis> axes(access.axes.size());
  for (std::size_t a = 0; a < axes.size(); ++a) {
    Axis& axis = axes[a];
    axis.base = access.axes[a].offset;
    axis.extent = tensor != nullptr ? tensor->shape[a] : 0;
    for (const Term& term : access.axes[a].terms) {
      const auto loop = static_cast<std::size_t>(term.loop);
      COSEARCH_CHECK(term.loop >= 0 && loop < tile.size(), "a tile has one extent per loop");
      if (origin != nullptr) {
        axis.base = checked_add(axis.base, checked_multiply(term.coefficient, (*origin)[loop]));
      }
      if (tile[loop] <= 1) {
        continue;
      }
      const auto same =
          std::find_if(axis.steps.begin(), axis.steps.end(), [&](const Step& step) { return step.loop == term.loop; });
      if (same != axis.steps.end()) {
        same->stride = checked_add(same->stride, term.coefficient);
      } else {
        axis.steps.push_back({term.loop, term.coefficient, tile[loop]});
      }
    }
    std::erase_if(axis.steps, [](const Step& step) { return step.stride == 0; });
  }
  return axes;
}

std::int64_t reach(const Step& step) { return checked_multiply(std::abs(step.stride), step.count - 1); }

/// Largest minus smallest index.
std::int64_t span_of(const Axis& axis) {
  std::int64_t span = 0;
  for (const Step& step : axis.steps) {
    span = checked_add(span, reach(step));
  }
  return span;
}

std::int64_t lowest_index(const Axis& axis) {
  std::int64_t lowest = axis.base;
  for (const Step& step : axis.steps) {
    lowest = step.stride < 0 ? checked_add(lowest, -reach(step)) : lowest;
  }
  return lowest;
}

bool all_inside(const Axis& axis) {
  const std::int64_t lowest = lowest_index(axis);
  return lowest >= 0 && checked_add(lowest, span_of(axis)) < axis.extent;
}

/// Closed interval.
using Interval = std::pair<std::int64_t, std::int64_t>;

/// The different values of one axis, relative to the lowest and divided by the strides' common divisor: intervals
/// repeated at `outer` strides, each larger than everything below it, so that repetitions never touch.
class AxisValues {
 public:
  explicit AxisValues(const Axis& axis) : lowest_(lowest_index(axis)) {
    std::vector<Step> steps = axis.steps;
    for (Step& step : steps) {
      step.stride = std::abs(step.stride);
      divisor_ = std::gcd(divisor_, step.stride);
    }
    divisor_ = std::max<std::int64_t>(divisor_, 1);
    std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.stride < b.stride; });
    for (Step& step : steps) {
      step.stride /= divisor_;
    }
    const std::size_t inner = inner_steps(steps);
    for (std::size_t i = 0; i < inner; ++i) {
      repeat_intervals(steps[i]);
    }
    for (const Interval& interval : intervals_) {
      inner_count_ += interval.second - interval.first + 1;
    }
    std::int64_t count = inner_count_;
    std::int64_t span = intervals_.back().second;
    for (std::size_t i = inner; i < steps.size(); ++i) {
      levels_.push_back({steps[i], count, span});
      count = checked_multiply(count, steps[i].count);
      span = checked_add(span, reach(steps[i]));
    }
    count_ = count;
  }

  [[nodiscard]] std::int64_t count() const noexcept { return count_; }

  /// Values whose index lies in [0, extent).
  [[nodiscard]] std::int64_t count_inside(std::int64_t extent) const {
    const std::int64_t low = lowest_ >= 0 ? 0 : (-lowest_ + divisor_ - 1) / divisor_;
    const std::int64_t last = extent - 1 - lowest_;
    return last < 0 ? 0 : count_between(levels_.size(), low, last / divisor_);
  }

 private:
  /// Repetition of the values below, of which there are `count` within [0, span].
  struct Level {
    Step step;
    std::int64_t count = 0;
    std::int64_t span = 0;
  };

  /// Steps before the first from which on every stride exceeds the span of all smaller ones.
  static std::size_t inner_steps(const std::vector<Step>& steps) {
    std::size_t inner = 0;
    std::int64_t span = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].stride <= span || steps[i].stride == 1) {
        inner = i + 1;
      }
      span = checked_add(span, reach(steps[i]));
    }
    return inner;
  }

  void repeat_intervals(const Step& step) {
    if (intervals_.size() == 1 && step.stride <= intervals_[0].second + 1) {
      intervals_[0].second = checked_add(intervals_[0].second, reach(step));
      return;
    }
    std::vector<Interval> repeated;
    repeated.reserve(intervals_.size() * static_cast<std::size_t>(step.count));
    for (std::int64_t t = 0; t < step.count; ++t) {
      for (const Interval& interval : intervals_) {
        repeated.emplace_back(interval.first + t * step.stride, interval.second + t * step.stride);
      }
    }
    std::sort(repeated.begin(), repeated.end());
    intervals_.clear();
    for (const Interval& interval : repeated) {
      if (!intervals_.empty() && interval.first <= intervals_.back().second + 1) {
        intervals_.back().second = std::max(intervals_.back().second, interval.second);
      } else {
        intervals_.push_back(interval);
      }
    }
  }

  /// Values of the first `level` levels within [low, high]. Repetitions are disjoint and ordered, so at most the
  /// first and the last one that meet the window are cut.
  [[nodiscard]] std::int64_t count_between(std::size_t level, std::int64_t low, std::int64_t high) const {
    if (high < low) {
      return 0;
    }
    if (level == 0) {
      std::int64_t count = 0;
      for (const Interval& interval : intervals_) {
        count += std::max<std::int64_t>(0, std::min(high, interval.second) - std::max(low, interval.first) + 1);
      }
      return count;
    }
    const Step& step = levels_[level - 1].step;
    const std::int64_t below = levels_[level - 1].count;
    const std::int64_t span = levels_[level - 1].span;
    const std::int64_t first = low <= span ? 0 : (low - span + step.stride - 1) / step.stride;
    const std::int64_t last = std::min(step.count - 1, high < 0 ? -1 : high / step.stride);
    if (first > last) {
      return 0;
    }
    const auto cut = [&](std::int64_t t) {
      const std::int64_t shift = t * step.stride;
      return count_between(level - 1, std::max<std::int64_t>(0, low - shift), std::min(span, high - shift));
    };
    if (first == last) {
      return cut(first);
    }
    return checked_add(checked_add(cut(first), cut(last)), checked_multiply(below, last - first - 1));
  }

  std::int64_t lowest_ = 0;
  std::int64_t divisor_ = 0;
  std::vector<Interval> intervals_{{0, 0}};
  std::vector<Level> levels_;
  std::int64_t inner_count_ = 0;
  std::int64_t count_ = 0;
};

bool shares_loop(const Axis& a, const Axis& b) {
  return std::any_of(a.steps.begin(), a.steps.end(), [&](const Step& s) {
    return std::any_of(b.steps.begin(), b.steps.end(), [&](const Step& t) { return s.loop == t.loop; });
  });
}

/// Groups of axes that are connected through loops.
std::vector<std::vector<Axis>> connected(const std::vector<Axis>& axes) {
  std::vector<std::vector<Axis>> groups;
  for (const Axis& axis : axes) {
    std::vector<Axis> group{axis};
    std::erase_if(groups, [&](std::vector<Axis>& other) {
      if (std::none_of(other.begin(), other.end(), [&](const Axis& o) { return shares_loop(axis, o); })) {
        return false;
      }
      group.insert(group.end(), other.begin(), other.end());
      return true;
    });
    groups.push_back(std::move(group));
  }
  return groups;
}

/// An axis whose value determines the values of all its loops, or -1.
int determining_axis(const std::vector<Axis>& axes) {
  for (std::size_t a = 0; a < axes.size(); ++a) {
    std::int64_t combinations = 1;
    for (const Step& step : axes[a].steps) {
      combinations = checked_multiply(combinations, step.count);
    }
    if (AxisValues(axes[a]).count() == combinations) {
      return static_cast<int>(a);
    }
  }
  return -1;
}

/// The other axes of the group with the loops of axis `fixed` held at `values`, in the order of its steps.
std::vector<Axis> without(const std::vector<Axis>& axes, std::size_t fixed, const std::vector<std::int64_t>& values) {
  std::vector<Axis> rest;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    if (a == fixed) {
      continue;
    }
    Axis axis = axes[a];
    for (std::size_t s = 0; s < axes[fixed].steps.size(); ++s) {
      for (Step& step : axis.steps) {
        if (step.loop == axes[fixed].steps[s].loop) {
          axis.base = checked_add(axis.base, checked_multiply(step.stride, values[s]));
          step.stride = 0;
        }
      }
    }
    std::erase_if(axis.steps, [](const Step& step) { return step.stride == 0; });
    rest.push_back(std::move(axis));
  }
  return rest;
}

/// The different index vectors of a group, loop by loop: the set so far, shifted along each further loop.
std::vector<std::vector<std::int64_t>> enumerate(const std::vector<Axis>& axes) {
  std::vector<std::vector<std::int64_t>> points(1);
  for (const Axis& axis : axes) {
    points[0].push_back(axis.base);
  }
  std::vector<int> loops;
  for (const Axis& axis : axes) {
    for (const Step& step : axis.steps) {
      if (std::find(loops.begin(), loops.end(), step.loop) != loops.end()) {
        continue;
      }
      loops.push_back(step.loop);
      std::vector<std::int64_t> direction(axes.size(), 0);
      for (std::size_t a = 0; a < axes.size(); ++a) {
        for (const Step& other : axes[a].steps) {
          direction[a] = other.loop == step.loop ? other.stride : direction[a];
        }
      }
      const std::size_t before = points.size();
      points.reserve(before * static_cast<std::size_t>(step.count));
      for (std::int64_t t = 1; t < step.count; ++t) {
        for (std::size_t p = 0; p < before; ++p) {
          std::vector<std::int64_t> point = points[p];
          for (std::size_t a = 0; a < point.size(); ++a) {
            point[a] += t * direction[a];
          }
          points.push_back(std::move(point));
        }
      }
      std::sort(points.begin(), points.end());
      points.erase(std::unique(points.begin(), points.end()), points.end());
    }
  }
  return points;
}

std::int64_t count_all(const std::vector<Axis>& axes) {
  std::int64_t product = 1;
  for (const std::vector<Axis>& group : connected(axes)) {
    if (group.size() == 1) {
      product = checked_multiply(product, AxisValues(group[0]).count());
      continue;
    }
    // Fixing the loops of a determining axis only shifts the others: the count is the same for each of its values.
    if (const int fixed = determining_axis(group); fixed >= 0) {
      const auto axis = static_cast<std::size_t>(fixed);
      product = checked_multiply(product, AxisValues(group[axis]).count());
      const std::vector<std::int64_t> zeros(group[axis].steps.size(), 0);
      product = checked_multiply(product, count_all(without(group, axis, zeros)));
      continue;
    }
    product = checked_multiply(product, static_cast<std::int64_t>(enumerate(group).size()));
  }
  return product;
}

std::int64_t count_inside(const std::vector<Axis>& axes);

/// Sum over the values of the determining axis that lie inside of what the other axes then have inside.
std::int64_t count_inside_fixed(const std::vector<Axis>& group, std::size_t fixed) {
  const Axis& axis = group[fixed];
  std::vector<std::int64_t> values(axis.steps.size(), 0);
  std::int64_t count = 0;
  while (true) {
    std::int64_t index = axis.base;
    for (std::size_t s = 0; s < values.size(); ++s) {
      index += axis.steps[s].stride * values[s];
    }
    if (index >= 0 && index < axis.extent) {
      count = checked_add(count, count_inside(without(group, fixed, values)));
    }
    std::size_t s = values.size();
    while (s > 0 && ++values[s - 1] == axis.steps[s - 1].count) {
      values[--s] = 0;
    }
    if (s == 0) {
      return count;
    }
  }
}

std::int64_t count_inside(const std::vector<Axis>& axes) {
  std::int64_t product = 1;
  for (const std::vector<Axis>& group : connected(axes)) {
    if (std::all_of(group.begin(), group.end(), all_inside)) {
      product = checked_multiply(product, count_all(group));
    } else if (group.size() == 1) {
      product = checked_multiply(product, AxisValues(group[0]).count_inside(group[0].extent));
    } else if (const int fixed = determining_axis(group); fixed >= 0) {
      product = checked_multiply(product, count_inside_fixed(group, static_cast<std::size_t>(fixed)));
    } else {
      const auto points = enumerate(group);
      product = checked_multiply(product, std::count_if(points.begin(), points.end(), [&](const auto& point) {
                                   for (std::size_t a = 0; a < group.size(); ++a) {
                                     if (point[a] < 0 || point[a] >= group[a].extent) {
                                       return false;
                                     }
                                   }
                                   return true;
                                 }));
    }
  }
  return product;
}

bool is_empty(const std::vector<std::int64_t>& tile) {
  return std::any_of(tile.begin(), tile.end(), [](std::int64_t extent) { return extent <= 0; });
}

}  // namespace

std::int64_t footprint(const Access& access, const std::vector<std::int64_t>& tile, FootprintKind kind) {
  if (is_empty(tile)) {
    return 0;
  }
  const std::vector<Axis> axes = tile_axes(access, tile, nullptr, nullptr);
  if (kind == FootprintKind::exact) {
    return count_all(axes);
  }
  std::int64_t product = 1;
  for (const Axis& axis : axes) {
    product = checked_multiply(product, checked_add(span_of(axis), 1));
  }
  return product;
}

std::int64_t footprint_inside(const Access& access, const Tensor& tensor, const std::vector<std::int64_t>& origin,
                              const std::vector<std::int64_t>& tile) {
  COSEARCH_CHECK(access.axes.size() == tensor.shape.size(), "an access has one index per axis of its tensor");
  COSEARCH_CHECK(origin.size() == tile.size(), "an origin has one value per loop");
  return is_empty(tile) ? 0 : count_inside(tile_axes(access, tile, &origin, &tensor));
}

}  // namespace cosearch::ir
