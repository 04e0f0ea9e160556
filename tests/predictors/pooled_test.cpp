#include "predictors/pooled.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

constexpr std::array<double, 4> kDevices{1.0, 0.5, 4.0, 2.0};
const std::vector<std::vector<double>> kRates{{1.0, 3.0, 20.0}, {2.0, 2.5, 60.0}, {0.7, 2.0, 9.0}};

double truth(std::size_t device, std::size_t engine, const std::vector<double>& features) {
  double sum = 0.0;
  for (std::size_t j = 0; j < features.size(); ++j) {
    sum += kRates[engine][j] * features[j];
  }
  return kDevices[device] * sum;
}

/// Networks of random shapes on every device with every engine but the last device with the last engine.
std::vector<PooledRow> table(double noise) {
  RngStream rng(1, Purpose::test, 7);
  std::vector<PooledRow> rows;
  for (std::size_t device = 0; device < kDevices.size(); ++device) {
    for (std::size_t engine = 0; engine < kRates.size(); ++engine) {
      for (int i = 0; i < 6 && (device < 3 || engine < 2); ++i) {
        std::vector<double> features{1e6 * rng.uniform() + 1e5, 3e5 * rng.uniform(), 5e4 * rng.uniform()};
        const double target = truth(device, engine, features) * std::exp(noise * rng.normal());
        rows.push_back({device, engine, std::move(features), target});
      }
    }
  }
  return rows;
}

PooledOptions wide() {
  PooledOptions options;
  options.noise = 0.01;
  options.ratio_spread = 100.0;  // rows say all, spreads nothing
  return options;
}

TEST(Pooled, RecoversDevicesAndRatesAndAPairThatWasNeverMeasured) {
  const PooledFit fit = fit_pooled(table(0.0), wide());
  ASSERT_EQ(fit.device.size(), 4U);
  for (std::size_t device = 0; device < kDevices.size(); ++device) {
    EXPECT_NEAR(fit.device[device] / fit.device[0], kDevices[device] / kDevices[0], 1e-3);
  }
  const double level = std::pow(kDevices[0] * kDevices[1] * kDevices[2] * kDevices[3], 0.25);
  for (std::size_t engine = 0; engine < kRates.size(); ++engine) {
    for (std::size_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(fit.rates[engine][j] / (level * kRates[engine][j]), 1.0, 1e-3) << engine << " " << j;
    }
  }
  const std::vector<double> features{2e6, 1e5, 4e4};
  EXPECT_EQ(fit.pair.count({3, 2}), 0U);
  EXPECT_NEAR(fit.predict(3, 2, features) / truth(3, 2, features), 1.0, 1e-3);
  EXPECT_EQ(fit.parameters, 3U + 3U + 9U + 4U + 11U);
  // What determines the predictions: nine rates, and four devices up to one level; of eleven pairs, what is left.
  EXPECT_GT(fit.effective_parameters, 12.0 - 0.01);
  EXPECT_LT(fit.effective_parameters, 9.0 + 11.0);
}

/// The function that is minimised, written down anew: a small step in any direction must not lower it.
TEST(Pooled, IsAMinimumOfTheStatedSquares) {
  const std::vector<PooledRow> rows = table(0.2);
  PooledOptions options;
  options.base = {1.0, 1.0, 20.0};
  const PooledFit fit = fit_pooled(rows, options);
  const auto residuals = [&](const PooledFit& model) {
    double sum = 0.0;
    for (const PooledRow& row : rows) {
      const double error = std::log(row.target / model.predict(row.device, row.engine, row.features));
      sum += error * error / (options.noise * options.noise);
    }
    for (const auto& [pair, scale] : model.pair) {
      sum += std::pow(std::log(scale) / options.pair_spread, 2);
    }
    return sum;
  };
  // Scales of devices and of pairs meet in these terms only.
  const double least = residuals(fit);
  for (const double step : {-1e-3, 1e-3}) {
    for (std::size_t device = 0; device < fit.device.size(); ++device) {
      PooledFit moved = fit;
      moved.device[device] *= std::exp(step);
      EXPECT_GT(residuals(moved), least);
    }
    for (const auto& [pair, scale] : fit.pair) {
      PooledFit moved = fit;
      moved.pair[pair] *= std::exp(step);
      EXPECT_GT(residuals(moved), least);
    }
  }
}

TEST(Pooled, SpreadsHoldParametersTogether) {
  PooledOptions tight = wide();
  tight.ratio_spread = tight.pair_spread = 1e-6;
  const double few = fit_pooled(table(0.1), tight).effective_parameters;
  // Two ratios of all engines, three engines and four devices up to one level.
  EXPECT_NEAR(few, 2.0 + 3.0 + 3.0, 0.01);
  EXPECT_GT(fit_pooled(table(0.1), wide()).effective_parameters, few + 3.0);
}

TEST(Pooled, AnEngineWithOneRowHasTheRatiosOfTheOthers) {
  std::vector<PooledRow> rows = table(0.0);
  const std::vector<double> first{1e6, 1e5, 1e4};
  rows.push_back({0, 3, first, 3.0 * truth(0, 0, first)});
  const PooledFit fit = fit_pooled(rows, PooledOptions{});
  EXPECT_NEAR(fit.predict(0, 3, first) / (3.0 * truth(0, 0, first)), 1.0, 0.02);
  // Its ratios lie between those of the engines that were measured well.
  for (const std::size_t feature : {std::size_t{1}, std::size_t{2}}) {
    const double ratio = fit.rates[3][feature] / fit.rates[3][0];
    double least = std::numeric_limits<double>::infinity();
    double most = 0.0;
    for (const std::vector<double>& rates : kRates) {
      least = std::min(least, rates[feature] / rates[0]);
      most = std::max(most, rates[feature] / rates[0]);
    }
    EXPECT_GT(ratio, least);
    EXPECT_LT(ratio, most);
  }
}

TEST(Pooled, RefusesRowsThatSayNothing) {
  const auto refusal = [](const std::vector<PooledRow>& rows, const PooledOptions& options = {}) -> std::string {
    try {
      static_cast<void>(fit_pooled(rows, options));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(refusal({}).find("needs rows"), std::string::npos);
  EXPECT_NE(refusal({{0, 0, {0.0}, 1.0}}).find("no feature above 0"), std::string::npos);
  EXPECT_NE(refusal({{0, 0, {-1.0}, 1.0}}).find("row 0 holds -1"), std::string::npos);
  EXPECT_NE(refusal({{0, 0, {1.0}, 0.0}}).find("target 0 is 0"), std::string::npos);
  EXPECT_NE(refusal({{0, 0, {1.0}, 1.0}, {0, 0, {1.0, 2.0}, 1.0}}).find("row 1 has 2"), std::string::npos);
  PooledOptions options;
  options.base = {1.0, 2.0};
  EXPECT_NE(refusal({{0, 0, {1.0}, 1.0}}, options).find("2 base rates for 1"), std::string::npos);
  options = PooledOptions{};
  options.noise = 0.0;
  EXPECT_NE(refusal({{0, 0, {1.0}, 1.0}}, options).find("spread 0"), std::string::npos);
}

}  // namespace
}  // namespace cosearch
