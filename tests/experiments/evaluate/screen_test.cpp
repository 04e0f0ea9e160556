#include "experiments/evaluate/screen.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

/// Area dominated by points in two objectives below (1.1, 1.1), by a grid of all coordinates.
double naive_area(const std::vector<Point>& points) {
  std::vector<double> xs{1.1};
  std::vector<double> ys{1.1};
  for (const Point& point : points) {
    xs.push_back(std::min(point[0], 1.1));
    ys.push_back(std::min(point[1], 1.1));
  }
  std::sort(xs.begin(), xs.end());
  std::sort(ys.begin(), ys.end());
  double area = 0.0;
  for (std::size_t i = 0; i + 1 < xs.size(); ++i) {
    for (std::size_t j = 0; j + 1 < ys.size(); ++j) {
      const bool dominated = std::any_of(points.begin(), points.end(),
                                         [&](const Point& point) { return point[0] <= xs[i] && point[1] <= ys[j]; });
      area += dominated ? (xs[i + 1] - xs[i]) * (ys[j + 1] - ys[j]) : 0.0;
    }
  }
  return area;
}

/// Tries every remaining candidate in every round. The points' coordinates span exactly [0, 1].
std::vector<std::size_t> naive_order(std::vector<Point> front, const std::vector<ScreenCandidate>& candidates) {
  std::vector<std::size_t> left(candidates.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  std::vector<std::size_t> order;
  while (!left.empty()) {
    const double before = naive_area(front);
    const auto key = [&](std::size_t i) {
      std::vector<Point> together = front;
      together.insert(together.end(), candidates[i].points.begin(), candidates[i].points.end());
      const double gain = naive_area(together) - before;
      return std::tuple(gain < 1e-12 ? 0.0 : -gain, candidates[i].optimistic_error, i);
    };
    const auto best = std::min_element(left.begin(), left.end(), [&](auto a, auto b) { return key(a) < key(b); });
    order.push_back(*best);
    front.insert(front.end(), candidates[*best].points.begin(), candidates[*best].points.end());
    left.erase(best);
  }
  return order;
}

TEST(Screen, OrderIsTheGreedyOneOfAnExhaustiveSearch) {
  for (std::uint64_t round = 0; round < 30; ++round) {
    RngStream rng(11, Purpose::test, round);
    const auto point = [&] { return Point{rng.uniform(), rng.uniform()}; };
    std::vector<Point> measured{{0.0, 1.0}, {1.0, 0.0}};  // spans [0, 1], so that scaling changes nothing
    for (std::uint64_t i = rng.below(5); i > 0; --i) {
      measured.push_back(point());
    }
    std::vector<ScreenCandidate> candidates(1 + rng.below(12));
    for (ScreenCandidate& candidate : candidates) {
      for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) {
        candidate.points.push_back(point());
      }
      candidate.optimistic_error = candidate.points.front()[0];
    }
    const std::vector<std::size_t> order = rank_by_hypervolume_gain(measured, candidates);
    // Candidates that add nothing can differ in the last bit of their gain; they come last in both.
    const std::vector<std::size_t> expected = naive_order(measured, candidates);
    std::vector<Point> front = measured;
    for (std::size_t i = 0; i < order.size(); ++i) {
      std::vector<Point> mine = front;
      std::vector<Point> best = front;
      mine.insert(mine.end(), candidates[order[i]].points.begin(), candidates[order[i]].points.end());
      best.insert(best.end(), candidates[expected[i]].points.begin(), candidates[expected[i]].points.end());
      ASSERT_NEAR(naive_area(mine), naive_area(best), 1e-9) << "round " << round << " place " << i;
      front = std::move(mine);
    }
  }
}

TEST(Screen, OrderDoesNotDependOnTheUnitsOfTheObjectives) {
  const std::vector<Point> measured{{0.5, 10.0}, {0.1, 50.0}};
  std::vector<ScreenCandidate> candidates;
  for (std::uint64_t i = 0; i < 10; ++i) {
    RngStream rng(5, Purpose::test, i);
    const double error = rng.uniform();
    candidates.push_back({{{error, 60.0 * rng.uniform()}}, error});
  }
  const std::vector<std::size_t> order = rank_by_hypervolume_gain(measured, candidates);
  std::vector<Point> scaled = measured;
  for (Point& point : scaled) {
    point[1] *= 1024.0;
  }
  for (ScreenCandidate& candidate : candidates) {
    candidate.points[0][1] *= 1024.0;
  }
  EXPECT_EQ(rank_by_hypervolume_gain(scaled, candidates), order);
}

TEST(Screen, CandidatesThatAddNothingAreOrderedByErrorAndIndex) {
  const std::vector<Point> measured{{0.0, 0.0}};
  const std::vector<ScreenCandidate> candidates{
      {{{0.9, 1.0}}, 0.9}, {{{0.3, 5.0}}, 0.3}, {{{0.3, 2.0}}, 0.3}, {{}, 0.1}};
  EXPECT_THAT(rank_by_hypervolume_gain(measured, candidates), testing::ElementsAre(3, 1, 2, 0));
}

TEST(Screen, NothingMeasuredAndOneObjectiveAreFine) {
  const std::vector<ScreenCandidate> candidates{{{{0.4}}, 0.4}, {{{0.2}}, 0.2}, {{{0.3}}, 0.3}};
  EXPECT_THAT(rank_by_hypervolume_gain({}, candidates), testing::ElementsAre(1, 2, 0));
  EXPECT_TRUE(rank_by_hypervolume_gain({}, {}).empty());
}

}  // namespace
}  // namespace cosearch
