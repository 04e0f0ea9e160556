#include "predictors/rank.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

using List = std::vector<double>;

/// Mean ranks by counting, O(n^2).
List naive_ranks(const List& values) {
  List ranks;
  for (const double value : values) {
    double below = 0.0;
    double equal = 0.0;
    for (const double other : values) {
      below += other < value ? 1.0 : 0.0;
      equal += other == value ? 1.0 : 0.0;
    }
    ranks.push_back(below + (equal + 1.0) / 2.0);
  }
  return ranks;
}

double naive_pearson(const List& a, const List& b) {
  const auto n = static_cast<double>(a.size());
  double mean_a = 0.0;
  double mean_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    mean_a += a[i] / n;
    mean_b += b[i] / n;
  }
  double ab = 0.0;
  double aa = 0.0;
  double bb = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0.0 && bb > 0.0 ? ab / std::sqrt(aa * bb) : 0.0;
}

/// Tau-b from the signs of all pairs.
double naive_kendall(const List& a, const List& b) {
  double sum = 0.0;
  double pairs_a = 0.0;
  double pairs_b = 0.0;
  const auto sign = [](double x) { return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double sign_a = sign(a[i] - a[j]);
      const double sign_b = sign(b[i] - b[j]);
      sum += sign_a * sign_b;
      pairs_a += std::abs(sign_a);
      pairs_b += std::abs(sign_b);
    }
  }
  return pairs_a > 0.0 && pairs_b > 0.0 ? sum / std::sqrt(pairs_a * pairs_b) : 0.0;
}

double naive_overlap(const List& predicted, const List& truth, std::size_t k) {
  const auto is_top = [k](const List& values, std::size_t i) {
    std::size_t better = 0;
    for (std::size_t j = 0; j < values.size(); ++j) {
      better += values[j] > values[i] || (values[j] == values[i] && j < i) ? 1 : 0;
    }
    return better < k;
  };
  double common = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    common += is_top(predicted, i) && is_top(truth, i) ? 1.0 : 0.0;
  }
  return common / static_cast<double>(k);
}

TEST(Rank, MetricsMatchQuadraticOraclesWithAndWithoutTies) {
  RngStream rng(1, Purpose::test, 0);
  for (int round = 0; round < 400; ++round) {
    const std::size_t size = 1 + rng.below(40);
    const std::uint64_t levels = 1 + rng.below(round % 2 == 0 ? 6 : 1'000'000);
    List a;
    List b;
    for (std::size_t i = 0; i < size; ++i) {
      a.push_back(static_cast<double>(rng.below(levels)) - 3.0);
      b.push_back(rng.below(3) == 0 ? a.back() : static_cast<double>(rng.below(levels)));
    }
    ASSERT_NEAR(spearman(a, b), naive_pearson(naive_ranks(a), naive_ranks(b)), 1e-12);
    ASSERT_NEAR(kendall(a, b), naive_kendall(a, b), 1e-12);
    const std::size_t k = 1 + rng.below(size);
    ASSERT_DOUBLE_EQ(top_k_overlap(a, b, k), naive_overlap(a, b, k));
  }
}

TEST(Rank, KnownValues) {
  const List a{1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(spearman(a, List{10, 20, 30, 40, 1000}), 1.0);
  EXPECT_DOUBLE_EQ(kendall(a, List{5, 4, 3, 2, 1}), -1.0);
  // One neighbouring swap: rho = 1 - 6 * 2 / (5 * 24), tau = (9 - 1) / 10.
  EXPECT_DOUBLE_EQ(spearman(a, List{2, 1, 3, 4, 5}), 0.9);
  EXPECT_DOUBLE_EQ(kendall(a, List{2, 1, 3, 4, 5}), 0.8);
}

TEST(Rank, ConstantAndShortListsHaveNoCorrelation) {
  EXPECT_EQ(spearman(List{1, 2, 3}, List{4, 4, 4}), 0.0);
  EXPECT_EQ(kendall(List{2, 2, 2}, List{1, 2, 3}), 0.0);
  EXPECT_EQ(spearman(List{1}, List{1}), 0.0);
  EXPECT_EQ(kendall(List{}, List{}), 0.0);
}

TEST(Rank, AreInvariantUnderMonotoneMapsAndSymmetric) {
  RngStream rng(2, Purpose::test, 0);
  List a;
  List b;
  List mapped;
  for (int i = 0; i < 200; ++i) {
    a.push_back(rng.normal());
    b.push_back(a.back() + rng.normal());
    mapped.push_back(std::exp(3.0 * a.back()));
  }
  EXPECT_DOUBLE_EQ(spearman(mapped, b), spearman(a, b));
  EXPECT_DOUBLE_EQ(kendall(mapped, b), kendall(a, b));
  EXPECT_DOUBLE_EQ(kendall(b, a), kendall(a, b));
}

TEST(Rank, OverlapOfKBreaksTiesByIndex) {
  EXPECT_DOUBLE_EQ(top_k_overlap(List{1, 1, 1, 1}, List{4, 3, 2, 1}, 2), 1.0);
  EXPECT_DOUBLE_EQ(top_k_overlap(List{1, 1, 1, 1}, List{1, 2, 3, 4}, 2), 0.0);
  EXPECT_DOUBLE_EQ(top_k_overlap(List{0, 5, 9, 7}, List{1, 2, 3, 4}, 3), 1.0);
}

TEST(RankDeathTest, BrokenListsAbort) {
  EXPECT_DEATH(static_cast<void>(spearman(List{1, 2}, List{1})), "one length");
  EXPECT_DEATH(static_cast<void>(kendall(List{1, std::numeric_limits<double>::quiet_NaN()}, List{1, 2})), "NaN");
  EXPECT_DEATH(static_cast<void>(top_k_overlap(List{1, 2}, List{1, 2}, 3)), "k lies in");
}

}  // namespace
}  // namespace cosearch
