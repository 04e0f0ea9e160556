#include "spaces/queue/expert_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

constexpr int kExperts = 6;
constexpr double kBytes = 96.0;

/// Each token chooses two different experts; the last expert is never chosen.
std::vector<std::vector<int>> random_trace(std::size_t tokens) {
  std::vector<std::vector<int>> trace;
  RngStream rng(3, Purpose::test, 0);
  for (std::size_t i = 0; i < tokens; ++i) {
    const int first = static_cast<int>(rng.below(kExperts - 1));
    const int second = (first + 1 + static_cast<int>(rng.below(kExperts - 2))) % (kExperts - 1);
    trace.push_back({first, second});
  }
  return trace;
}

TEST(ExpertQueue, ATraceAndItsCountsGiveTheSameOrderAndEmptyExpertsAreLeftOut) {
  const std::vector<std::vector<int>> trace = random_trace(50);
  std::vector<std::int64_t> counts(kExperts, 0);
  for (const std::vector<int>& chosen : trace) {
    for (const int expert : chosen) {
      ++counts[static_cast<std::size_t>(expert)];
    }
  }
  const ExpertQueue traced = queue_of_trace(trace, kExperts, kBytes);
  const ExpertQueue counted = queue_of_counts(counts, kBytes);
  ASSERT_EQ(traced.experts.size(), counted.experts.size());
  EXPECT_EQ(traced.tokens(), 100);
  EXPECT_EQ(counted.tokens(), 100);
  for (std::size_t i = 0; i < traced.experts.size(); ++i) {
    const QueuedExpert& each = traced.experts[i];
    EXPECT_LT(each.expert, kExperts - 1) << "nobody chose it";
    EXPECT_EQ(each.expert, counted.experts[i].expert);
    EXPECT_EQ(each.tokens, counted.experts[i].tokens);
    EXPECT_DOUBLE_EQ(each.weight_bytes, kBytes);
    EXPECT_TRUE(counted.experts[i].members.empty());
    ASSERT_EQ(static_cast<std::int64_t>(each.members.size()), each.tokens);
    EXPECT_TRUE(std::is_sorted(each.members.begin(), each.members.end()));
    for (const std::int64_t token : each.members) {
      const std::vector<int>& chosen = trace[static_cast<std::size_t>(token)];
      EXPECT_NE(std::find(chosen.begin(), chosen.end(), each.expert), chosen.end());
    }
  }
}

TEST(ExpertQueue, TheNextWeightsLoadWhileOneComputes) {
  const ExpertQueue queue = queue_of_counts(std::vector<std::int64_t>{4, 0, 2, 1}, kBytes);
  ASSERT_EQ(queue.experts.size(), 3U);
  EXPECT_EQ(queue.experts[1].expert, 2);
  const std::vector<QueueStep> expected{{std::nullopt, 0}, {0, 1}, {1, 2}, {2, std::nullopt}};
  EXPECT_EQ(double_buffered_steps(queue), expected);
  EXPECT_TRUE(double_buffered_steps(ExpertQueue{}).empty());
}

TEST(ExpertQueueDeath, UnknownExpertsAndNegativeCountsAreDefects) {
  EXPECT_DEATH((void)queue_of_trace(std::vector<std::vector<int>>{{kExperts}}, kExperts, kBytes), "there is not");
  EXPECT_DEATH((void)queue_of_counts(std::vector<std::int64_t>{-1}, kBytes), "less than never");
}

}  // namespace
}  // namespace cosearch
