#include <algorithm>
#include <functional>
#include <numeric>

#include "search/pareto.hpp"
#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

/// Points as distances to the reference, all positive: the volume is the union of the boxes between the origin and
/// each point, and larger is better. Rows of `stride` numbers.
struct Boxes {
  std::vector<double> values;
  std::size_t stride = 0;

  [[nodiscard]] std::size_t count() const noexcept { return values.size() / stride; }
  [[nodiscard]] const double* row(std::size_t i) const noexcept { return values.data() + i * stride; }
};

bool covers(const double* a, const double* b, std::size_t dimensions) noexcept {
  for (std::size_t i = 0; i < dimensions; ++i) {
    if (a[i] < b[i]) {
      return false;
    }
  }
  return true;
}

class UnionVolume {
 public:
  /// Volume of the union in the first `dimensions` coordinates.
  double operator()(const Boxes& boxes, std::size_t dimensions) {
    levels_.resize(std::max(levels_.size(), dimensions + 1));
    return volume(boxes, dimensions);
  }

 private:
  struct Level {
    std::vector<const double*> rows;
    std::vector<const double*> kept;
    Boxes limited;
  };

  double volume(const Boxes& boxes, std::size_t dimensions) {
    if (boxes.values.empty()) {
      return 0.0;
    }
    auto& rows = levels_[dimensions].rows;
    rows.clear();
    for (std::size_t i = 0; i < boxes.count(); ++i) {
      rows.push_back(boxes.row(i));
    }
    // Largest last coordinate first.
    std::sort(rows.begin(), rows.end(), [&](const double* a, const double* b) {
      return std::lexicographical_compare(std::reverse_iterator(b + dimensions), std::reverse_iterator(b),
                                          std::reverse_iterator(a + dimensions), std::reverse_iterator(a));
    });
    switch (dimensions) {
      case 1:
        return rows.front()[0];
      case 2:
        return area(rows);
      case 3:
        return sweep(rows);
      default:
        return exclusive_sum(levels_[dimensions], dimensions);
    }
  }

  static double area(const std::vector<const double*>& rows) {
    double total = 0.0;
    double width = 0.0;
    for (const double* row : rows) {
      if (row[0] > width) {
        total += (row[0] - width) * row[1];
        width = row[0];
      }
    }
    return total;
  }

  /// Three dimensions: from the top down, the area that the boxes so far cover, times the height to the next one.
  double sweep(const std::vector<const double*>& rows) {
    steps_.clear();
    double area = 0.0;
    double total = 0.0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      area += add_step(rows[i][0], rows[i][1]);
      const double below = i + 1 < rows.size() ? rows[i + 1][2] : 0.0;
      total += area * (rows[i][2] - below);
    }
    return total;
  }

  /// Adds a rectangle to the staircase. Returns the area that it gains.
  double add_step(double x, double y) {
    // Steps are sorted by rising x and falling y; the first with x' >= x covers the rectangle or lies below it.
    const auto right = std::lower_bound(steps_.begin(), steps_.end(), x,
                                        [](const Step& step, double value) { return step.x < value; });
    const double floor = right == steps_.end() ? 0.0 : right->y;
    if (floor >= y) {
      return 0.0;
    }
    double gain = 0.0;
    double edge = x;
    double height = floor;
    auto left = right;
    if (right != steps_.end() && right->x == x) {
      ++left;  // the new rectangle replaces this step
    }
    const auto last = left;
    left = right;
    while (left != steps_.begin() && (left - 1)->y <= y) {
      --left;
      gain += (edge - left->x) * (y - height);
      edge = left->x;
      height = left->y;
    }
    const double start = left == steps_.begin() ? 0.0 : (left - 1)->x;
    gain += (edge - start) * (y - height);
    if (left == last) {
      steps_.insert(left, {x, y});
    } else {
      *left = {x, y};
      steps_.erase(left + 1, last);
    }
    return gain;
  }

  /// WFG with slicing: each box adds what the boxes before it, all at least as high, leave of it. They are as high as
  /// the box itself once they are cut to it, so its own share is height times a volume of one dimension less.
  double exclusive_sum(Level& level, std::size_t dimensions) {
    auto& kept = level.kept;
    kept.clear();
    double total = 0.0;
    for (const double* row : level.rows) {
      if (std::any_of(kept.begin(), kept.end(), [&](const double* other) { return covers(other, row, dimensions); })) {
        continue;
      }
      Boxes& limited = level.limited;
      limited.stride = dimensions - 1;
      limited.values.clear();
      for (const double* other : kept) {
        for (std::size_t i = 0; i + 1 < dimensions; ++i) {
          limited.values.push_back(std::min(row[i], other[i]));
        }
      }
      double own = 1.0;
      for (std::size_t i = 0; i + 1 < dimensions; ++i) {
        own *= row[i];
      }
      total += row[dimensions - 1] * (own - volume(limited, dimensions - 1));
      kept.push_back(row);
    }
    return total;
  }

  struct Step {
    double x = 0.0;
    double y = 0.0;
  };

  std::vector<Level> levels_;  ///< scratch, by number of dimensions
  std::vector<Step> steps_;
};

}  // namespace

double hypervolume(std::span<const Point> points, std::span<const double> reference) {
  COSEARCH_CHECK(!reference.empty(), "a hypervolume has at least one objective");
  Boxes boxes;
  boxes.stride = reference.size();
  for (const Point& point : points) {
    COSEARCH_CHECK(point.size() == reference.size(), "points and reference have equally many objectives");
    bool inside = true;
    for (std::size_t i = 0; i < point.size(); ++i) {
      inside = inside && point[i] < reference[i];
    }
    for (std::size_t i = 0; i < point.size() && inside; ++i) {
      boxes.values.push_back(reference[i] - point[i]);
    }
  }
  return UnionVolume{}(boxes, reference.size());
}

}  // namespace cosearch
