#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "search/pareto.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

/// Volume of the union of boxes: the sum over all subsets of (-1)^(size - 1) times the volume of the intersection.
double inclusion_exclusion(const std::vector<Point>& points, const Point& reference) {
  double total = 0.0;
  for (std::size_t subset = 1; subset < (std::size_t{1} << points.size()); ++subset) {
    double volume = 1.0;
    int size = 0;
    Point corner(reference.size(), -1e300);
    for (std::size_t p = 0; p < points.size(); ++p) {
      if ((subset >> p & 1U) != 0) {
        ++size;
        for (std::size_t i = 0; i < corner.size(); ++i) {
          corner[i] = std::max(corner[i], points[p][i]);
        }
      }
    }
    for (std::size_t i = 0; i < corner.size(); ++i) {
      volume *= std::max(0.0, reference[i] - corner[i]);
    }
    total += size % 2 == 1 ? volume : -volume;
  }
  return total;
}

/// Points with integer coordinates in [0, side]: the number of unit cells below the reference (side, ...) that some
/// point dominates.
double counted_cells(const std::vector<Point>& points, std::size_t objectives, int side) {
  std::vector<int> cell(objectives, 0);
  double count = 0.0;
  while (true) {
    count += std::any_of(points.begin(), points.end(), [&](const Point& point) {
      for (std::size_t i = 0; i < objectives; ++i) {
        if (point[i] > cell[i]) {
          return false;
        }
      }
      return true;
    });
    std::size_t i = 0;
    while (i < objectives && ++cell[i] == side) {
      cell[i++] = 0;
    }
    if (i == objectives) {
      return count;
    }
  }
}

class Hypervolume : public testing::TestWithParam<std::size_t> {};

TEST_P(Hypervolume, EqualsInclusionAndExclusion) {
  for (std::uint64_t i = 0; i < 200; ++i) {
    RngStream rng{41, Purpose::test, i};
    std::vector<Point> points(rng.below(9), Point(GetParam()));
    for (Point& point : points) {
      for (double& coordinate : point) {
        coordinate = 1.2 * rng.uniform();  // some lie beyond the reference
      }
    }
    const Point reference(GetParam(), 1.0);
    ASSERT_NEAR(hypervolume(points, reference), inclusion_exclusion(points, reference), 1e-12) << "case " << i;
  }
}

TEST_P(Hypervolume, EqualsTheNumberOfDominatedCellsOfAGrid) {
  const std::size_t objectives = GetParam();
  const int side = objectives <= 3 ? 12 : 5;
  for (std::uint64_t i = 0; i < 60; ++i) {
    RngStream rng{42, Purpose::test, i};
    std::vector<Point> points(1 + rng.below(40), Point(objectives));
    for (Point& point : points) {
      for (double& coordinate : point) {
        coordinate = static_cast<double>(rng.below(static_cast<std::uint64_t>(side) + 1));
      }
    }
    const Point reference(objectives, side);
    ASSERT_EQ(hypervolume(points, reference), counted_cells(points, objectives, side)) << "case " << i;
  }
}

TEST_P(Hypervolume, DoesNotChangeWithOrderAndDominatedPoints) {
  RngStream rng{43, Purpose::test, 0};
  std::vector<Point> points(30, Point(GetParam()));
  for (Point& point : points) {
    for (double& coordinate : point) {
      coordinate = rng.uniform();
    }
  }
  const Point reference(GetParam(), 1.0);
  const double expected = hypervolume(points, reference);
  rng.shuffle(points);
  EXPECT_NEAR(hypervolume(points, reference), expected, 1e-12);
  std::vector<Point> front;
  for (const std::size_t i : pareto_front(points)) {
    front.push_back(points[i]);
  }
  EXPECT_NEAR(hypervolume(front, reference), expected, 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Objectives, Hypervolume, testing::Values(1, 2, 3, 4, 5, 6));

TEST(HypervolumeOf, NothingAndTheReferenceItselfIsZero) {
  EXPECT_EQ(hypervolume({}, Point{1, 1}), 0.0);
  EXPECT_EQ(hypervolume(std::vector<Point>{{1, 0}, {0, 1}, {2, -5}}, Point{1, 1}), 0.0);
}

TEST(HypervolumeOf, FineLinearFrontsApproachesTheSimplex) {
  // Below x + y + z >= 1 the unit cube holds 1 - 1/6.
  std::vector<Point> points;
  constexpr int kSteps = 60;
  for (int x = 0; x <= kSteps; ++x) {
    for (int y = 0; x + y <= kSteps; ++y) {
      points.push_back({static_cast<double>(x) / kSteps, static_cast<double>(y) / kSteps,
                        static_cast<double>(kSteps - x - y) / kSteps});
    }
  }
  EXPECT_NEAR(hypervolume(points, Point{1, 1, 1}), 5.0 / 6.0, 0.01);
}

TEST(HypervolumeDeathTest, RefusesPointsOfAnotherLengthThanTheReference) {
  EXPECT_DEATH((void)hypervolume(std::vector<Point>{{1, 2}}, Point{1, 2, 3}), "equally many objectives");
  EXPECT_DEATH((void)hypervolume(std::vector<Point>{}, Point{}), "at least one objective");
}

}  // namespace
}  // namespace cosearch
