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

Campaign campaign_of(const std::vector<std::pair<std::string, double>>& networks) {
  Campaign campaign;
  for (const auto& [name, weight] : networks) {
    campaign.networks.emplace_back();
    campaign.networks.back().name = name;
    campaign.networks.back().weight = weight;
  }
  return campaign;
}

TEST(Objectives, ErrorAndAccuracyAreSetTogether) {
  EXPECT_EQ(with_errors(campaign_of({{"", 1.0}}), {{"macs", 2.0}}, {0.25}),
            (Metrics{{"accuracy", 0.75}, {"error", 0.25}, {"macs", 2.0}}));
  EXPECT_EQ(with_errors(campaign_of({{"a", 0.25}, {"b", 0.75}}), {{"macs", 2.0}}, {0.5, 0.25}),
            (Metrics{{"accuracy", 0.6875},
                     {"accuracy_a", 0.5},
                     {"accuracy_b", 0.75},
                     {"error", 0.3125},
                     {"error_a", 0.5},
                     {"error_b", 0.25},
                     {"macs", 2.0}}));
}

TEST(Objectives, MetricThatOneNetworkLacksHasNoMean) {
  const Campaign campaign = campaign_of({{"a", 0.5}, {"b", 0.5}});
  EXPECT_EQ(combined_metrics(campaign, {{{"accuracy", 0.5}, {"train_loss", 2.0}}, {{"train_loss", 1.0}}}),
            (Metrics{{"accuracy_a", 0.5}, {"train_loss", 1.5}, {"train_loss_a", 2.0}, {"train_loss_b", 1.0}}));
  EXPECT_EQ(combined_metrics(campaign, {{}, {{"accuracy", 1.0}}}), (Metrics{{"accuracy_b", 1.0}}));
}

TEST(Objectives, PredictedErrorsAreThoseOfAllNetworksOrNone) {
  const Campaign campaign = campaign_of({{"a", 0.5}, {"b", 0.5}});
  const Metrics metrics{{"predicted_error", 0.3}, {"predicted_error_a", 0.2}, {"predicted_error_b", 0.4}};
  EXPECT_THAT(predicted_errors(campaign, metrics), testing::ElementsAre(0.2, 0.4));
  EXPECT_TRUE(predicted_errors(campaign, {{"predicted_error", 0.3}, {"predicted_error_a", 0.2}}).empty());
  EXPECT_THAT(predicted_errors(campaign_of({{"", 1.0}}), metrics), testing::ElementsAre(0.3));
}

}  // namespace
}  // namespace cosearch
