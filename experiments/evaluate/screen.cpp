#include "experiments/evaluate/screen.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

namespace cosearch {
namespace {

constexpr double kReference = 1.1;

/// Maps every coordinate to [0, 1] over the points it has seen.
class Scaling {
 public:
  void see(const Point& point) {
    lower_.resize(point.size(), std::numeric_limits<double>::infinity());
    upper_.resize(point.size(), -std::numeric_limits<double>::infinity());
    for (std::size_t i = 0; i < point.size(); ++i) {
      lower_[i] = std::min(lower_[i], point[i]);
      upper_[i] = std::max(upper_[i], point[i]);
    }
  }
  [[nodiscard]] Point scaled(const Point& point) const {
    Point result(point.size());
    for (std::size_t i = 0; i < point.size(); ++i) {
      const double range = upper_[i] - lower_[i];
      result[i] = range > 0.0 ? (point[i] - lower_[i]) / range : 0.0;
    }
    return result;
  }
  [[nodiscard]] Point reference() const { return Point(lower_.size(), kReference); }

 private:
  Point lower_, upper_;
};

/// The non-dominated points of both.
std::vector<Point> joined(std::vector<Point> front, const std::vector<Point>& points) {
  front.insert(front.end(), points.begin(), points.end());
  std::vector<Point> result;
  for (const std::size_t index : pareto_front(front)) {
    result.push_back(std::move(front[index]));
  }
  return result;
}

struct Entry {
  double gain = 0.0;  ///< an upper bound unless `round` is the present one
  double error = 0.0;
  std::size_t index = 0;
  std::size_t round = 0;
};
struct Worse {
  bool operator()(const Entry& a, const Entry& b) const {
    return std::tuple(-a.gain, a.error, a.index) > std::tuple(-b.gain, b.error, b.index);
  }
};

}  // namespace

std::vector<std::size_t> rank_by_hypervolume_gain(std::span<const Point> measured,
                                                  std::span<const ScreenCandidate> candidates) {
  Scaling scaling;
  for (const Point& point : measured) {
    scaling.see(point);
  }
  for (const ScreenCandidate& candidate : candidates) {
    std::for_each(candidate.points.begin(), candidate.points.end(), [&](const Point& point) { scaling.see(point); });
  }
  std::vector<Point> front;
  for (const Point& point : measured) {
    front.push_back(scaling.scaled(point));
  }
  front = joined(std::move(front), {});
  std::vector<std::vector<Point>> points(candidates.size());
  // Adding to a larger front never gains more (hypervolume is submodular), so an old gain bounds the present one and
  // only the best entries need to be computed again ("lazy greedy", Minoux 1978).
  std::priority_queue<Entry, std::vector<Entry>, Worse> queue;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    for (const Point& point : candidates[i].points) {
      points[i].push_back(scaling.scaled(point));
    }
    queue.push({std::numeric_limits<double>::infinity(), candidates[i].optimistic_error, i, 0});
  }
  const Point reference = scaling.reference();
  const auto volume_of = [&](const std::vector<Point>& members) {
    return members.empty() ? 0.0 : hypervolume(members, reference);
  };
  double volume = volume_of(front);
  std::vector<std::size_t> order;
  while (!queue.empty()) {
    Entry entry = queue.top();
    queue.pop();
    const std::size_t round = order.size() + 1;
    if (entry.round != round) {
      entry.gain = std::max(0.0, volume_of(joined(front, points[entry.index])) - volume);
      entry.round = round;
      queue.push(entry);
      continue;
    }
    order.push_back(entry.index);
    front = joined(std::move(front), points[entry.index]);
    volume = volume_of(front);
  }
  return order;
}

}  // namespace cosearch
