#include "search/selection.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace cosearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Trial trial(TrialState state, Point objectives, double violation = 0.0) {
  return {0, {{{0.0}}, {}, std::nullopt}, state, std::move(objectives), violation};
}

Individual individual(double gene, Point objectives, double violation = 0.0) {
  Individual made;
  made.genome = {{gene}};
  made.objectives = std::move(objectives);
  made.violation = violation;
  return made;
}

std::vector<double> genes(const std::vector<Individual>& individuals) {
  std::vector<double> genes;
  for (const Individual& one : individuals) {
    genes.push_back(one.genome.genes[0]);
  }
  return genes;
}

TEST(Selection, JudgesTrialsByTheirState) {
  EXPECT_EQ(make_individual(trial(TrialState::complete, {1, 2}), 2).violation, 0.0);
  EXPECT_EQ(make_individual(trial(TrialState::screened, {1, 2}), 2).violation, 0.0);
  EXPECT_EQ(make_individual(trial(TrialState::infeasible, {}, 0.25), 2).violation, 0.25);
  EXPECT_EQ(make_individual(trial(TrialState::infeasible, {1, 2}, 0.25), 2).objectives, (Point{1, 2}));
  EXPECT_EQ(make_individual(trial(TrialState::infeasible, {1, 2}), 2).violation, kInfinity);
  EXPECT_EQ(make_individual(trial(TrialState::infeasible, {}, kNan), 2).violation, kInfinity);
  EXPECT_EQ(make_individual(trial(TrialState::failed, {}), 2).violation, kInfinity);
  EXPECT_EQ(make_individual(trial(TrialState::failed, {1, 2}, 0.5), 2).violation, kInfinity);
}

TEST(Selection, TrialsWithoutUsableObjectivesViolateInfinitely) {
  EXPECT_EQ(make_individual(trial(TrialState::complete, {1}), 2).violation, kInfinity);
  EXPECT_EQ(make_individual(trial(TrialState::complete, {1, kNan}), 2).violation, kInfinity);
  EXPECT_TRUE(make_individual(trial(TrialState::complete, {1, kNan}), 2).objectives.empty());
}

TEST(Selection, SurvivorsAreChosenByFrontThenCrowdingThenOrder) {
  const std::vector<Individual> candidates{
      individual(0, {9, 9}),     individual(1, {0, 4}),        individual(2, {1, 3}),
      individual(3, {1.1, 2.9}), individual(4, {4, 0}),        individual(5, {}, 2.0),
      individual(6, {}, 1.0),    individual(7, {}, kInfinity), individual(8, {}, kInfinity),
  };
  // Front 0 holds 1, 2, 3, 4: ends first, then 3 with gaps 3 of 4 and 3 of 4, then 2 with gaps 1.1 of 4 and 1.1 of 4.
  EXPECT_EQ(genes(select_survivors(candidates, 9)), (std::vector<double>{1, 4, 3, 2, 0, 6, 5, 7, 8}));
  EXPECT_EQ(genes(select_survivors(candidates, 3)), (std::vector<double>{1, 4, 3}));
  EXPECT_EQ(select_survivors(candidates, 20).size(), 9U);
}

TEST(Selection, TournamentsPreferTheBetterOfTwo) {
  const std::vector<Individual> population = select_survivors(
      {individual(0, {0, 2}), individual(1, {2, 0}), individual(2, {3, 3}), individual(3, {}, 1.0)}, 4);
  std::vector<int> wins(4, 0);
  for (std::uint64_t i = 0; i < 4000; ++i) {
    RngStream rng{71, Purpose::test, i};
    ++wins[static_cast<std::size_t>(tournament(population, rng).genome.genes[0])];
  }
  // Of the 16 ordered pairs, 0 and 1 (equal in rank) win 6 each, 2 wins the 3 without them, 3 only against itself.
  EXPECT_NEAR(wins[0], 1500, 130);
  EXPECT_NEAR(wins[1], 1500, 130);
  EXPECT_NEAR(wins[2], 750, 110);
  EXPECT_NEAR(wins[3], 250, 70);
}

}  // namespace
}  // namespace cosearch
