#include "experiments/run/tally.hpp"

#include <gtest/gtest.h>

namespace cosearch {
namespace {

TrialRow complete(double error, double latency) {
  TrialRow row;
  row.pending = false;
  row.metrics = {{"accuracy", 1.0 - error}, {"error", error}, {"latency_ms", latency}, {"train_loss", 1.0}};
  row.network_hash = std::to_string(error);
  return row;
}

TEST(SearchTally, CountsStatesNetworksAndTheFront) {
  Campaign campaign;
  campaign.objectives = {{"error", Direction::minimize}, {"latency_ms", Direction::minimize}};
  SearchTally tally(campaign);
  EXPECT_EQ(tally.feasible_share(), 0.0);
  EXPECT_FALSE(tally.hypervolume().has_value());
  TrialRow infeasible;
  infeasible.pending = false;
  infeasible.state = TrialState::infeasible;
  tally.add(infeasible);
  tally.end_batch();
  EXPECT_FALSE(tally.hypervolume().has_value());

  tally.add(complete(0.5, 10.0));
  tally.add(complete(0.25, 20.0));
  tally.add(complete(0.5, 10.0));  // the same network on an equal board
  tally.add(complete(0.5, 15.0));  // dominated
  tally.end_batch();
  EXPECT_EQ(tally.evaluated(), 5);
  EXPECT_EQ(tally.complete(), 4);
  EXPECT_EQ(tally.trained(), 2);
  EXPECT_EQ(tally.front_size(), 2);
  EXPECT_DOUBLE_EQ(tally.feasible_share(), 0.8);
  // Reference (0.55, 22): 0.05 * 12 + 0.25 * 2 = 1.1 of 12.1.
  EXPECT_NEAR(tally.hypervolume().value(), 1.1 / 12.1, 1e-12);

  tally.add(complete(0.1, 5.0));  // dominates all; the reference stays
  tally.end_batch();
  EXPECT_EQ(tally.front_size(), 1);
  EXPECT_NEAR(tally.hypervolume().value(), 0.45 * 17.0 / 12.1, 1e-12);
}

}  // namespace
}  // namespace cosearch
