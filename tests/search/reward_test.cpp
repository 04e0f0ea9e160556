#include "search/reward.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

namespace cosearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Trial told(TrialState state, std::vector<double> objectives, double violation) {
  Trial trial;
  trial.state = state;
  trial.objectives = std::move(objectives);
  trial.violation = violation;
  return trial;
}
Trial measured(double error, double latency, double violation = 0.0) {
  return told(violation > 0.0 ? TrialState::infeasible : TrialState::complete, {error, latency}, violation);
}
Trial out(double violation) { return told(TrialState::infeasible, {}, violation); }

TEST(Reward, IsTheWeightedSumLessThePenalty) {
  Reward reward({2.0, 0.5}, {true, false}, 10.0);
  reward.see(measured(0.1, 30.0));
  reward.see(measured(0.3, 50.0, 0.2));  // latencies have a mean of 40
  EXPECT_DOUBLE_EQ(reward.joint(measured(0.25, 20.0), out(0.0)), -(2.0 * 0.25 + 0.5 * 20.0 / 40.0));
  EXPECT_DOUBLE_EQ(reward.joint(measured(0.25, 20.0, 0.3), out(0.0)), -(2.0 * 0.25 + 0.5 * 20.0 / 40.0) - 10.0 * 0.3);
}

TEST(Reward, LeavesOutWhatIsLearnedAmongDesignsOfOneNetwork) {
  Reward reward({2.0, 0.5}, {true, false}, 10.0);
  reward.see(measured(0.1, 40.0));
  EXPECT_DOUBLE_EQ(reward.hardware_only(measured(0.25, 20.0, 0.3)), -0.5 * 20.0 / 40.0 - 10.0 * 0.3);
}

TEST(Reward, TakesTheLearnedObjectiveOfATwinAndElseTheWorstSeen) {
  Reward reward({1.0, 1.0}, {true, false}, 10.0);
  reward.see(measured(0.4, 60.0));
  reward.see(measured(0.1, 20.0));
  const Trial unmeasured = out(0.5);
  EXPECT_DOUBLE_EQ(reward.joint(unmeasured, unmeasured), -0.4 - 60.0 / 40.0 - 5.0);
  EXPECT_DOUBLE_EQ(reward.joint(unmeasured, measured(0.1, 20.0)), -0.1 - 60.0 / 40.0 - 5.0);
  EXPECT_DOUBLE_EQ(reward.joint(measured(0.2, 40.0), measured(0.1, 20.0)), -0.2 - 1.0);
}

TEST(Reward, TakesAnUnknownViolationForTheLargestSeen) {
  Reward reward({1.0}, {true}, 10.0);
  EXPECT_DOUBLE_EQ(reward.hardware_only(out(kInfinity)), -10.0);
  reward.see(out(kInfinity));
  reward.see(out(3.0));
  EXPECT_DOUBLE_EQ(reward.hardware_only(out(kInfinity)), -30.0);
  EXPECT_DOUBLE_EQ(reward.hardware_only(told(TrialState::failed, {}, 0.0)), -30.0);
}

TEST(Reward, DoesNotDivideByAnObjectiveThatIsAlwaysZero) {
  Reward reward({1.0}, {false}, 10.0);
  const Trial zero = told(TrialState::complete, {0.0}, 0.0);
  EXPECT_DOUBLE_EQ(reward.joint(zero, zero), 0.0);
  reward.see(zero);
  EXPECT_DOUBLE_EQ(reward.joint(zero, zero), 0.0);
}

}  // namespace
}  // namespace cosearch
