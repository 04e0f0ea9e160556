#include <algorithm>
#include <numeric>

#include "search/pareto.hpp"
#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

/// Fronts of two objectives. The points come in lexicographic order, so a front dominates a newcomer when its last
/// member, the one with the smallest second objective, does; these grow from front to front.
class SweepFronts {
 public:
  [[nodiscard]] std::size_t insert(const Point& point) {
    if (previous_ != nullptr && *previous_ == point) {
      return previous_front_;
    }
    const auto found = std::upper_bound(lowest_.begin(), lowest_.end(), point[1]);
    previous_front_ = static_cast<std::size_t>(found - lowest_.begin());
    if (found == lowest_.end()) {
      lowest_.push_back(point[1]);
    } else {
      *found = point[1];
    }
    previous_ = &point;
    return previous_front_;
  }

 private:
  std::vector<double> lowest_;  ///< second objective of each front's last member
  const Point* previous_ = nullptr;
  std::size_t previous_front_ = 0;
};

/// Fronts of any number of objectives: efficient non-dominated sort with binary search (Zhang, Tian, Cheng, Jin 2015).
/// A point that a front does not dominate is not dominated by later fronts either.
class SearchedFronts {
 public:
  [[nodiscard]] std::size_t insert(const Point& point) {
    std::size_t low = 0;
    std::size_t high = fronts_.size();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      const bool dominated = std::any_of(fronts_[middle].rbegin(), fronts_[middle].rend(),
                                         [&](const Point* member) { return dominates(*member, point); });
      (dominated ? low : high) = dominated ? middle + 1 : middle;
    }
    if (low == fronts_.size()) {
      fronts_.emplace_back();
    }
    fronts_[low].push_back(&point);
    return low;
  }

 private:
  std::vector<std::vector<const Point*>> fronts_;
};

/// Assigns front numbers to `feasible` points. Returns the number of fronts.
template <class Fronts>
std::size_t assign(std::span<const Point> points, const std::vector<std::size_t>& feasible, Fronts fronts,
                   std::vector<std::size_t>& front_of) {
  std::size_t count = 0;
  for (const std::size_t index : feasible) {
    front_of[index] = fronts.insert(points[index]);
    count = std::max(count, front_of[index] + 1);
  }
  return count;
}

}  // namespace

std::vector<std::size_t> non_dominated_sort(std::span<const Point> points, std::span<const double> violations) {
  COSEARCH_CHECK(violations.empty() || violations.size() == points.size(), "one violation per point, or none");
  std::vector<std::size_t> feasible;
  std::vector<std::size_t> infeasible;
  for (std::size_t i = 0; i < points.size(); ++i) {
    (!violations.empty() && violations[i] > 0.0 ? infeasible : feasible).push_back(i);
  }
  std::vector<std::size_t> front_of(points.size(), 0);
  std::size_t fronts = 0;
  if (!feasible.empty()) {
    const std::size_t objectives = points[feasible.front()].size();
    COSEARCH_CHECK(
        std::all_of(feasible.begin(), feasible.end(), [&](std::size_t i) { return points[i].size() == objectives; }),
        "feasible points have equally many objectives");
    std::sort(feasible.begin(), feasible.end(), [&](std::size_t a, std::size_t b) { return points[a] < points[b]; });
    fronts = objectives == 2 ? assign(points, feasible, SweepFronts{}, front_of)
                             : assign(points, feasible, SearchedFronts{}, front_of);
  }
  // Behind the feasible fronts each amount of violation is a front of its own.
  std::sort(infeasible.begin(), infeasible.end(),
            [&](std::size_t a, std::size_t b) { return violations[a] < violations[b]; });
  for (std::size_t i = 0; i < infeasible.size(); ++i) {
    fronts += i == 0 || violations[infeasible[i]] > violations[infeasible[i - 1]] ? 1 : 0;
    front_of[infeasible[i]] = fronts - 1;
  }
  return front_of;
}

}  // namespace cosearch
