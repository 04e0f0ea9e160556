#include "trainer/quantize/histogram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace cosearch::quantize {
namespace {

Histogram of(const std::vector<float>& values, double low, double high) {
  Histogram histogram{low, high, {}};
  histogram.add(values);
  return histogram;
}

TEST(Histogram, QuantilesLeaveTheAskedShareOutside) {
  std::vector<float> values;
  for (int i = 0; i < 10000; ++i) {
    values.push_back(static_cast<float>(i) / 10000.0F);
  }
  const Histogram histogram = of(values, 0.0, 1.0);
  for (const double share : {0.001, 0.01, 0.2}) {
    EXPECT_NEAR(histogram.lower_quantile(share), share, 1.0 / 2048.0);
    EXPECT_NEAR(histogram.upper_quantile(share), 1.0 - share, 1.0 / 2048.0);
    EXPECT_LE(histogram.lower_quantile(share), share);  // never more than the share is cut
    EXPECT_GE(histogram.upper_quantile(share), 1.0 - share);
  }
  EXPECT_EQ(histogram.lower_quantile(0.0), 0.0);
  EXPECT_EQ(histogram.upper_quantile(0.0), 1.0);
}

TEST(Histogram, ValuesOutsideCountInTheOutermostBins) {
  const Histogram histogram = of({-5.0F, 0.1F, 7.0F}, 0.0, 1.0);
  EXPECT_EQ(histogram.counts.front(), 1);
  EXPECT_EQ(histogram.counts.back(), 1);
}

TEST(Histogram, AUniformDistributionIsNotCut) {
  const std::vector<std::int64_t> uniform(Histogram::kBins, 100);
  EXPECT_EQ(least_divergence_cutoff(uniform, 128), Histogram::kBins);
}

TEST(Histogram, ThinTailsAreCutOffAndThickOnesAreNot) {
  std::vector<std::int64_t> bell(Histogram::kBins);
  for (std::size_t i = 0; i < bell.size(); ++i) {
    const double x = static_cast<double>(i) / 100.0;
    bell[i] = std::llround(1e6 * std::exp(-0.5 * x * x));
  }
  bell.back() = 1;  // one value at more than 20 deviations
  const std::size_t kept = least_divergence_cutoff(bell, 128);
  EXPECT_LT(kept, 600U);
  EXPECT_GE(kept, 128U);
  bell.back() = 1000000;
  EXPECT_EQ(least_divergence_cutoff(bell, 128), Histogram::kBins);
}

TEST(Histogram, WhatLosesNothingIsKept) {
  std::vector<std::int64_t> exact(Histogram::kBins, 0);
  for (std::size_t i = 0; i < 128; ++i) {
    exact[i] = static_cast<std::int64_t>(1 + i % 7);
  }
  // Up to 129 bins each level holds one bin that is not empty, and there is nothing behind them.
  EXPECT_LE(least_divergence_cutoff(exact, 128), 129U);
}

}  // namespace
}  // namespace cosearch::quantize
