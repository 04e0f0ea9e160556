#include "experiments/evaluate/objectives.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cosearch {
namespace {

TEST(Objectives, AreInMinimisingFormAndEmptyWhenOneIsMissing) {
  Campaign campaign;
  campaign.objectives = {{"accuracy", Direction::maximize}, {"latency_ms", Direction::minimize}};
  EXPECT_THAT(objectives_of(campaign, {{"accuracy", 0.75}, {"latency_ms", 3.0}, {"macs", 1.0}}),
              testing::ElementsAre(-0.75, 3.0));
  EXPECT_TRUE(objectives_of(campaign, {{"accuracy", 0.75}}).empty());
}

TEST(Objectives, ConstraintsAreBrokenBeyondTheirLimitsOnly) {
  Campaign campaign;
  campaign.constraints = {{"latency_ms", std::nullopt, 10.0}, {"accuracy", 0.9, std::nullopt}, {"macs", 5.0, 6.0}};
  EXPECT_TRUE(broken_constraints(campaign, {}).empty());
  EXPECT_TRUE(broken_constraints(campaign, {{"latency_ms", 10.0}, {"accuracy", 0.9}, {"macs", 5.5}}).empty());
  const std::vector<Violation> broken =
      broken_constraints(campaign, {{"latency_ms", 12.5}, {"accuracy", 0.45}, {"macs", 4.0}});
  ASSERT_EQ(broken.size(), 3U);
  EXPECT_DOUBLE_EQ(broken[0].amount(), 0.25);
  EXPECT_DOUBLE_EQ(broken[1].amount(), 0.5);
  EXPECT_DOUBLE_EQ(broken[2].amount(), 0.2);
  EXPECT_EQ(
      constraint_text(broken),
      "latency_ms is 12.5, at most 10 is allowed; accuracy is 0.45, at least 0.9 is allowed; macs is 4, at least 5 "
      "is allowed");
}

TEST(Objectives, ErrorAndAccuracyAreSetTogether) {
  EXPECT_EQ(with_error({{"macs", 2.0}}, 0.25), (Metrics{{"accuracy", 0.75}, {"error", 0.25}, {"macs", 2.0}}));
}

}  // namespace
}  // namespace cosearch
