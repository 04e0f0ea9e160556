#include "experiments/cli/front.hpp"

#include <algorithm>
#include <numeric>

namespace cosearch::cli {
namespace {

constexpr double kReference = 1.1;  // beyond the worst, so that the ends of the front count too

std::vector<Point> scaled(std::span<const Point> front) {
  std::vector<Point> points(front.begin(), front.end());
  for (std::size_t axis = 0; !points.empty() && axis < points.front().size(); ++axis) {
    const auto less = [axis](const Point& a, const Point& b) { return a[axis] < b[axis]; };
    const auto [low, high] = std::minmax_element(front.begin(), front.end(), less);
    const double range = (*high)[axis] - (*low)[axis];
    for (std::size_t i = 0; i < points.size(); ++i) {
      points[i][axis] = range > 0.0 ? (front[i][axis] - (*low)[axis]) / range : 0.0;
    }
  }
  return points;
}

}  // namespace

Front front_of(const std::vector<TrialRow>& rows, const std::vector<Objective>& objectives) {
  std::vector<const TrialRow*> measured;
  std::vector<Point> points;
  for (const TrialRow& row : rows) {
    if (row.pending || row.state != TrialState::complete) {
      continue;
    }
    Point point;
    for (const Objective& objective : objectives) {
      const auto metric = row.metrics.find(objective.metric);
      if (metric != row.metrics.end()) {
        point.push_back(objective.direction == Direction::minimize ? metric->second : -metric->second);
      }
    }
    if (point.size() == objectives.size()) {
      measured.push_back(&row);
      points.push_back(std::move(point));
    }
  }
  std::vector<std::size_t> best = pareto_front(points);
  std::stable_sort(best.begin(), best.end(), [&](std::size_t a, std::size_t b) { return points[a] < points[b]; });
  Front front;
  for (const std::size_t index : best) {
    front.rows.push_back(*measured[index]);
    front.points.push_back(points[index]);
  }
  return front;
}

std::vector<std::size_t> representatives(std::span<const Point> front, std::size_t count) {
  std::vector<std::size_t> rest(front.size());
  std::iota(rest.begin(), rest.end(), std::size_t{0});
  if (front.size() <= count) {
    return rest;
  }
  const std::vector<Point> points = scaled(front);
  const std::vector<double> reference(points.front().size(), kReference);
  std::vector<std::size_t> chosen;
  std::vector<Point> covered;
  while (chosen.size() < count) {
    std::size_t best = 0;
    double best_volume = -1.0;
    for (std::size_t i = 0; i < rest.size(); ++i) {
      covered.push_back(points[rest[i]]);
      const double volume = hypervolume(covered, reference);
      covered.pop_back();
      if (volume > best_volume) {
        best_volume = volume;
        best = i;
      }
    }
    chosen.push_back(rest[best]);
    covered.push_back(points[rest[best]]);
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(best));
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

Front subset(const Front& front, const std::vector<std::size_t>& members) {
  Front part;
  for (const std::size_t index : members) {
    part.rows.push_back(front.rows[index]);
    part.points.push_back(front.points[index]);
  }
  return part;
}

}  // namespace cosearch::cli
