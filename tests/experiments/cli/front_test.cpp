#include "experiments/cli/front.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "spaces/base/rng.hpp"

namespace cosearch::cli {
namespace {

const std::vector<Objective> kObjectives{{"accuracy", Direction::maximize}, {"latency_ms", Direction::minimize}};

TrialRow measured(TrialId id, double accuracy, double latency) {
  TrialRow row;
  row.id = id;
  row.pending = false;
  row.metrics = {{"accuracy", accuracy}, {"latency_ms", latency}};
  return row;
}

std::vector<TrialId> ids(const Front& front) {
  std::vector<TrialId> list;
  for (const TrialRow& row : front.rows) {
    list.push_back(row.id);
  }
  return list;
}

TEST(Front, HoldsMeasuredNonDominatedTrialsBestFirst) {
  std::vector<TrialRow> rows{measured(0, 0.8, 5),  measured(1, 0.9, 9),  measured(2, 0.85, 9), measured(3, 0.7, 1),
                             measured(4, 0.99, 1), measured(5, 0.99, 1), measured(6, 0.95, 2)};
  rows[4].state = TrialState::screened;  // its accuracy is a prediction
  rows[5].pending = true;                // not finished
  rows[6].metrics.erase("accuracy");     // not measured
  EXPECT_EQ(ids(front_of(rows, kObjectives)), (std::vector<TrialId>{1, 0, 3}));
  EXPECT_TRUE(front_of({}, kObjectives).rows.empty());
}

TEST(Front, AgreesWithPairwiseComparisonOnRandomTrials) {
  RngStream rng(3, Purpose::test, 2);
  std::vector<TrialRow> rows;
  for (TrialId id = 0; id < 80; ++id) {
    rows.push_back(measured(id, rng.uniform(), rng.uniform()));
  }
  std::set<TrialId> expected;
  for (const TrialRow& a : rows) {
    const bool beaten = std::any_of(rows.begin(), rows.end(), [&](const TrialRow& b) {
      return b.metrics.at("accuracy") > a.metrics.at("accuracy") &&
             b.metrics.at("latency_ms") < a.metrics.at("latency_ms");
    });
    if (!beaten) {
      expected.insert(a.id);
    }
  }
  const std::vector<TrialId> found = ids(front_of(rows, kObjectives));
  EXPECT_EQ(std::set<TrialId>(found.begin(), found.end()), expected);
}

TEST(Representatives, AreAllMembersOfASmallFront) {
  const std::vector<Point> points{{0, 2}, {1, 1}, {2, 0}};
  EXPECT_EQ(representatives(points, 3), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(representatives(points, 9), (std::vector<std::size_t>{0, 1, 2}));
}

TEST(Representatives, StartAtTheBestCompromiseAndThenSpread) {
  // A bent front: the corner dominates most; of its two neighbours each adds less than the far ends.
  const std::vector<Point> points{{0, 10}, {0.9, 1.2}, {1, 1}, {1.2, 0.9}, {10, 0}};
  EXPECT_EQ(representatives(points, 1), (std::vector<std::size_t>{2}));
  EXPECT_EQ(representatives(points, 3), (std::vector<std::size_t>{0, 2, 4}));
}

TEST(Representatives, DoNotDependOnTheUnitsOfAnObjective) {
  RngStream rng(9, Purpose::test, 3);
  std::vector<Point> points;
  std::vector<Point> in_other_units;
  for (int i = 0; i < 20; ++i) {
    const double x = rng.uniform();
    points.push_back({x, 1.0 / (0.1 + x)});
    in_other_units.push_back({1024.0 * x, points.back()[1] / 4096.0});
  }
  EXPECT_EQ(representatives(points, 5), representatives(in_other_units, 5));
}

}  // namespace
}  // namespace cosearch::cli
