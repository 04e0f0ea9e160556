#include "search/pareto.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

bool weakly_dominates(std::span<const double> a, std::span<const double> b) noexcept {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) {
      return false;
    }
  }
  return true;
}

/// Indices sorted by the points' coordinates from first to last; equal points in order.
std::vector<std::size_t> lexicographic_order(std::span<const Point> points) {
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return points[a] < points[b]; });
  return order;
}

void check_dimensions(std::span<const Point> points) {
  COSEARCH_CHECK(std::all_of(points.begin(), points.end(),
                             [&](const Point& point) { return point.size() == points.front().size(); }),
                 "points of one set have equally many objectives");
}

}  // namespace

bool dominates(std::span<const double> a, std::span<const double> b) noexcept {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) {
      return false;
    }
    better = better || a[i] < b[i];
  }
  return better;
}

bool constrained_dominates(std::span<const double> a, double violation_a, std::span<const double> b,
                           double violation_b) noexcept {
  if (violation_a > 0.0 || violation_b > 0.0) {
    return violation_a < violation_b;
  }
  return dominates(a, b);
}

std::vector<std::size_t> pareto_front(std::span<const Point> points) {
  if (points.empty()) {
    return {};
  }
  check_dimensions(points);
  // In lexicographic order a point can only be dominated by one before it.
  std::vector<std::size_t> front;
  const bool sweep = points.front().size() <= 2;
  for (const std::size_t index : lexicographic_order(points)) {
    const auto covers = [&](std::size_t member) { return weakly_dominates(points[member], points[index]); };
    // With two objectives the member found last has the smallest second one, so it alone decides.
    const bool covered =
        sweep ? !front.empty() && covers(front.back()) : std::any_of(front.rbegin(), front.rend(), covers);
    if (!covered) {
      front.push_back(index);
    }
  }
  std::sort(front.begin(), front.end());
  return front;
}

std::vector<double> crowding_distance(std::span<const Point> front) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (front.size() <= 2) {
    return std::vector<double>(front.size(), kInfinity);
  }
  check_dimensions(front);
  std::vector<double> distance(front.size(), 0.0);
  std::vector<std::size_t> order(front.size());
  for (std::size_t objective = 0; objective < front.front().size(); ++objective) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return front[a][objective] < front[b][objective]; });
    const double range = front[order.back()][objective] - front[order.front()][objective];
    if (!(range > 0.0)) {
      continue;  // all equal: nobody is at an end
    }
    distance[order.front()] = kInfinity;
    distance[order.back()] = kInfinity;
    for (std::size_t i = 1; i + 1 < order.size(); ++i) {
      const double gap = front[order[i + 1]][objective] - front[order[i - 1]][objective];
      distance[order[i]] += gap > 0.0 ? gap / range : 0.0;
    }
  }
  return distance;
}

std::size_t knee(std::span<const Point> front) {
  COSEARCH_CHECK(!front.empty(), "only a front with points has a knee");
  check_dimensions(front);
  // After scaling, the plane through the extremes of a front is sum == 1; the distance from it towards the ideal
  // point falls as the sum grows.
  std::vector<double> sum(front.size(), 0.0);
  for (std::size_t objective = 0; objective < front.front().size(); ++objective) {
    const auto less = [&](const Point& a, const Point& b) { return a[objective] < b[objective]; };
    const auto [lowest, highest] = std::minmax_element(front.begin(), front.end(), less);
    const double lower = (*lowest)[objective];
    const double range = (*highest)[objective] - lower;
    for (std::size_t i = 0; i < front.size() && range > 0.0; ++i) {
      sum[i] += (front[i][objective] - lower) / range;
    }
  }
  return static_cast<std::size_t>(std::min_element(sum.begin(), sum.end()) - sum.begin());
}

}  // namespace cosearch
