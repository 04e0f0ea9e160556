#include "search/pareto.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Few different values, so that equal coordinates and equal points are common.
std::vector<Point> random_points(RngStream& rng, std::size_t count, std::size_t objectives, std::uint64_t values) {
  std::vector<Point> points(count, Point(objectives));
  for (Point& point : points) {
    for (double& coordinate : point) {
      coordinate = static_cast<double>(rng.below(values));
    }
  }
  return points;
}

/// By the definition, written out once more.
bool oracle_dominates(const Point& a, double violation_a, const Point& b, double violation_b) {
  if (violation_a > 0.0 || violation_b > 0.0) {
    return violation_a < violation_b;
  }
  std::size_t better = 0;
  std::size_t worse = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    better += a[i] < b[i] ? 1U : 0U;
    worse += a[i] > b[i] ? 1U : 0U;
  }
  return worse == 0 && better > 0;
}

/// Peels front after front: what nothing left dominates.
std::vector<std::size_t> oracle_sort(const std::vector<Point>& points, const std::vector<double>& violations) {
  std::vector<std::size_t> front(points.size(), SIZE_MAX);
  std::size_t left = points.size();
  for (std::size_t number = 0; left > 0; ++number) {
    std::vector<std::size_t> peeled;
    for (std::size_t i = 0; i < points.size(); ++i) {
      bool dominated = front[i] != SIZE_MAX;
      for (std::size_t j = 0; j < points.size() && !dominated; ++j) {
        dominated = front[j] == SIZE_MAX && oracle_dominates(points[j], violations[j], points[i], violations[i]);
      }
      if (!dominated) {
        peeled.push_back(i);
      }
    }
    for (const std::size_t i : peeled) {
      front[i] = number;
    }
    left -= peeled.size();
  }
  return front;
}

TEST(Domination, NeedsOneBetterAndNoWorseCoordinate) {
  EXPECT_TRUE(dominates(Point{1, 2}, Point{1, 3}));
  EXPECT_TRUE(dominates(Point{0, 2}, Point{1, 3}));
  EXPECT_FALSE(dominates(Point{1, 2}, Point{1, 2}));
  EXPECT_FALSE(dominates(Point{0, 4}, Point{1, 3}));
  EXPECT_FALSE(dominates(Point{1, 3}, Point{1, 2}));
}

TEST(Domination, LessViolationWinsBeforeObjectivesCount) {
  EXPECT_TRUE(constrained_dominates(Point{9, 9}, 0.0, Point{1, 1}, 0.1));
  EXPECT_FALSE(constrained_dominates(Point{1, 1}, 0.1, Point{9, 9}, 0.0));
  EXPECT_TRUE(constrained_dominates(Point{}, 0.1, Point{1, 1}, 0.2));
  EXPECT_FALSE(constrained_dominates(Point{1, 1}, 0.2, Point{2, 2}, 0.2));
  EXPECT_FALSE(constrained_dominates(Point{}, kInfinity, Point{}, kInfinity));
  EXPECT_TRUE(constrained_dominates(Point{1, 1}, 0.0, Point{2, 2}, 0.0));
}

class SortedPoints : public testing::TestWithParam<std::size_t> {};

TEST_P(SortedPoints, HaveTheFrontsThatPeelingGives) {
  for (std::uint64_t i = 0; i < 400; ++i) {
    RngStream rng{31, Purpose::test, i};
    const std::size_t count = rng.below(60);
    const auto points = random_points(rng, count, GetParam(), 2 + rng.below(12));
    const std::vector<double> feasible(count, 0.0);
    ASSERT_EQ(non_dominated_sort(points), oracle_sort(points, feasible)) << "case " << i;
    std::vector<double> violations(count, 0.0);
    for (double& violation : violations) {
      violation = rng.below(2) == 0 ? 0.0 : static_cast<double>(rng.below(4));
      violation = rng.below(9) == 0 ? kInfinity : violation;
    }
    ASSERT_EQ(non_dominated_sort(points, violations), oracle_sort(points, violations)) << "case " << i;
  }
}

TEST_P(SortedPoints, HaveTheParetoFrontOfTheDefinition) {
  for (std::uint64_t i = 0; i < 400; ++i) {
    RngStream rng{32, Purpose::test, i};
    const auto points = random_points(rng, rng.below(60), GetParam(), 2 + rng.below(12));
    std::vector<std::size_t> expected;
    for (std::size_t p = 0; p < points.size(); ++p) {
      bool kept = true;
      for (std::size_t q = 0; q < points.size(); ++q) {
        kept = kept && !oracle_dominates(points[q], 0.0, points[p], 0.0) && !(q < p && points[q] == points[p]);
      }
      if (kept) {
        expected.push_back(p);
      }
    }
    ASSERT_EQ(pareto_front(points), expected) << "case " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Objectives, SortedPoints, testing::Values(1, 2, 3, 4, 5));

TEST(NonDominatedSort, InfeasiblePointsNeedNoObjectives) {
  const std::vector<Point> points{{}, {1.0, 2.0}, {}, {2.0, 1.0}, {3.0, 3.0}};
  const std::vector<double> violations{2.0, 0.0, 1.0, 0.0, 0.0};
  EXPECT_EQ(non_dominated_sort(points, violations), (std::vector<std::size_t>{3, 0, 2, 0, 1}));
}

TEST(CrowdingDistance, AddsTheScaledGapsBetweenNeighbours) {
  // Ranges are 4 and 8.
  const std::vector<Point> front{{0, 8}, {1, 4}, {2, 2}, {4, 0}};
  const std::vector<double> distance = crowding_distance(front);
  EXPECT_EQ(distance[0], kInfinity);
  EXPECT_DOUBLE_EQ(distance[1], 2.0 / 4.0 + 6.0 / 8.0);
  EXPECT_DOUBLE_EQ(distance[2], 3.0 / 4.0 + 4.0 / 8.0);
  EXPECT_EQ(distance[3], kInfinity);
}

TEST(CrowdingDistance, DoesNotDependOnTheOrder) {
  RngStream rng{33, Purpose::test, 0};
  std::vector<Point> front;
  for (int i = 0; i < 20; ++i) {
    front.push_back({rng.uniform(), rng.uniform(), rng.uniform()});
  }
  const auto distance = crowding_distance(front);
  std::vector<Point> reversed(front.rbegin(), front.rend());
  auto expected = crowding_distance(reversed);
  std::reverse(expected.begin(), expected.end());
  for (std::size_t i = 0; i < front.size(); ++i) {
    EXPECT_DOUBLE_EQ(distance[i], expected[i]);
  }
}

TEST(CrowdingDistance, SmallAndFlatFronts) {
  EXPECT_TRUE(crowding_distance({}).empty());
  EXPECT_EQ(crowding_distance(std::vector<Point>{{1, 2}}), (std::vector<double>{kInfinity}));
  EXPECT_EQ(crowding_distance(std::vector<Point>{{1, 2}, {2, 1}}), (std::vector<double>{kInfinity, kInfinity}));
  EXPECT_EQ(crowding_distance(std::vector<Point>{{1, 1}, {1, 1}, {1, 1}}), (std::vector<double>{0.0, 0.0, 0.0}));
}

TEST(Knee, IsFarthestFromTheLineThroughTheEnds) {
  const std::vector<Point> front{{0, 100}, {1, 40}, {2, 10}, {6, 5}, {10, 0}};
  // Distances from x/10 + y/100 = 1 for each point.
  std::size_t expected = 0;
  double farthest = -1.0;
  for (std::size_t i = 0; i < front.size(); ++i) {
    const double distance = 1.0 - front[i][0] / 10.0 - front[i][1] / 100.0;
    if (distance > farthest) {
      farthest = distance;
      expected = i;
    }
  }
  EXPECT_EQ(knee(front), expected);
  EXPECT_EQ(knee(front), 2U);
}

TEST(Knee, OfOnePointAndOfAConstantObjective) {
  EXPECT_EQ(knee(std::vector<Point>{{3, 4}}), 0U);
  EXPECT_EQ(knee(std::vector<Point>{{3, 7}, {2, 7}, {5, 7}}), 1U);
}

TEST(ParetoDeathTest, RefusesPointsOfDifferentLength) {
  const std::vector<Point> points{{1, 2}, {1, 2, 3}};
  EXPECT_DEATH((void)pareto_front(points), "equally many objectives");
  EXPECT_DEATH((void)non_dominated_sort(points), "equally many objectives");
  EXPECT_DEATH((void)knee({}), "has a knee");
}

}  // namespace
}  // namespace cosearch
