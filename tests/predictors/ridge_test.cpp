#include "predictors/ridge.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "spaces/base/rng.hpp"
#include "tests/predictors/linear_oracle.hpp"

namespace cosearch {
namespace {

using testing::dot;
using testing::normal_equations;
using testing::Table;
using testing::without;

struct Data {
  Table rows;
  std::vector<double> targets;
};

Data random_data(std::uint64_t index, std::size_t rows, std::size_t features, double noise) {
  RngStream rng(9, Purpose::test, index);
  Data data;
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double> row;
    double target = 5.0;
    for (std::size_t j = 0; j < features; ++j) {
      row.push_back((j % 2 == 0 ? 1.0 : 1e4) * (rng.normal() + 2.0));
      target += row.back() / (j % 2 == 0 ? 1.0 : 1e4) * (j % 3 == 0 ? 1.0 : -0.5);
    }
    data.rows.push_back(row);
    data.targets.push_back(target + noise * rng.normal());
  }
  return data;
}

/// The rows standardised by two passes, with a leading 1 for the intercept.
Table design(const Table& rows) {
  Table result(rows.size(), {1.0});
  for (std::size_t j = 0; j < rows[0].size(); ++j) {
    double mean = 0.0;
    for (const auto& row : rows) {
      mean += row[j] / static_cast<double>(rows.size());
    }
    double variance = 0.0;
    for (const auto& row : rows) {
      variance += (row[j] - mean) * (row[j] - mean) / static_cast<double>(rows.size());
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      result[i].push_back(variance > 0.0 ? (rows[i][j] - mean) / std::sqrt(variance) : 0.0);
    }
  }
  return result;
}

/// Ridge with a free intercept through the normal equations.
std::vector<double> oracle(const Table& rows, const std::vector<double>& targets, double penalty) {
  std::vector<double> penalties(rows[0].size(), penalty);
  penalties[0] = 0.0;
  return normal_equations(rows, targets, penalties);
}

/// Mean squared error of explicit refits without each row.
double leave_one_out(const Table& rows, const std::vector<double>& targets, double penalty) {
  double sum = 0.0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double error = dot(rows[i], oracle(without(rows, i), without(targets, i), penalty)) - targets[i];
    sum += error * error / static_cast<double>(rows.size());
  }
  return sum;
}

TEST(Ridge, MatchesTheNormalEquations) {
  for (std::uint64_t index = 0; index < 20; ++index) {
    const Data data = random_data(index, 5 + index, 1 + index % 6, 0.5);
    const Table rows = design(data.rows);
    for (const double lambda : {1e-3, 0.1, 10.0}) {
      RidgePredictor ridge(lambda);
      ridge.fit(data.rows, data.targets);
      const std::vector<double> expected = oracle(rows, data.targets, lambda * static_cast<double>(rows.size()));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        ASSERT_NEAR(ridge.predict(data.rows[i]).mean, dot(rows[i], expected), 1e-8);
      }
    }
  }
}

TEST(Ridge, LeaveOneOutErrorIsThatOfExplicitRefits) {
  for (std::uint64_t index = 0; index < 12; ++index) {
    const Data data = random_data(50 + index, 6 + index % 4, 1 + index, 0.5);  // also more features than rows
    const Table rows = design(data.rows);
    for (const double lambda : {1e-2, 1.0}) {
      RidgePredictor ridge(lambda);
      ridge.fit(data.rows, data.targets);
      const double expected = std::sqrt(leave_one_out(rows, data.targets, lambda * static_cast<double>(rows.size())));
      ASSERT_NEAR(ridge.leave_one_out_error(), expected, 1e-7 * (1.0 + expected));
    }
  }
}

TEST(Ridge, ChoosesTheGridsBestPenalty) {
  std::vector<double> chosen;
  for (const double noise : {0.05, 1.0, 30.0}) {
    const Data data = random_data(70, 24, 6, noise);
    const Table rows = design(data.rows);
    RidgePredictor ridge(std::nullopt);
    ridge.fit(data.rows, data.targets);
    double best = 0.0;
    double least = 1e300;
    for (const double lambda : RidgePredictor::lambda_grid()) {
      const double error = leave_one_out(rows, data.targets, lambda * static_cast<double>(rows.size()));
      if (error <= least) {
        least = error;
        best = lambda;
      }
    }
    EXPECT_EQ(ridge.lambda(), best) << noise;
    chosen.push_back(ridge.lambda());
  }
  EXPECT_LT(chosen.front(), chosen.back());  // more noise, more shrinkage
}

TEST(Ridge, UncertaintyMatchesThePosteriorByHand) {
  // One standardised feature x = -1, 1: x'x = 2. The variance is noise * (1 + 1/2 + x^2 / (2 + 2 lambda)).
  RidgePredictor ridge(0.5);
  ridge.fit(Table{{10.0}, {20.0}}, std::vector<double>{1.0, 3.0});
  const double at_centre = ridge.predict({15.0}).std_dev;
  const double away = ridge.predict({25.0}).std_dev;  // x = 2
  EXPECT_GT(at_centre, 0.0);
  EXPECT_NEAR(away / at_centre, std::sqrt((1.5 + 4.0 / 3.0) / 1.5), 1e-12);
}

TEST(Ridge, UncertaintyMatchesTheInverseOfTheGramMatrix) {
  const Data data = random_data(80, 7, 10, 0.5);  // more features than rows: part of x lies outside the table
  const Table rows = design(data.rows);
  RidgePredictor ridge(0.2);
  ridge.fit(data.rows, data.targets);
  const double penalty = 0.2 * 7;
  const auto variance_factor = [&](const std::vector<double>& x) {
    Table gram(10, std::vector<double>(10, 0.0));
    for (std::size_t j = 0; j < 10; ++j) {
      for (std::size_t k = 0; k < 10; ++k) {
        for (const auto& row : rows) {
          gram[j][k] += row[j + 1] * row[k + 1];
        }
      }
      gram[j][j] += penalty;
    }
    return 1.0 + 1.0 / 7.0 + dot(x, testing::solve_square(gram, x));
  };
  // Feature values whose standardised form is known: the rows themselves and the mean moved along one feature.
  const auto standardized = [&](std::size_t i) { return without(rows[i], 0); };
  const double unit = ridge.predict(data.rows[0]).std_dev / std::sqrt(variance_factor(standardized(0)));
  for (std::size_t i = 1; i < 7; ++i) {
    EXPECT_NEAR(ridge.predict(data.rows[i]).std_dev, unit * std::sqrt(variance_factor(standardized(i))), 1e-9);
  }
  std::vector<double> moved = data.rows[0];
  std::vector<double> moved_standardized = standardized(0);
  const double step = (data.rows[1][0] - data.rows[0][0]) / (rows[1][1] - rows[0][1]);
  moved[0] += 3.0 * step;
  moved_standardized[0] += 3.0;
  EXPECT_NEAR(ridge.predict(moved).std_dev, unit * std::sqrt(variance_factor(moved_standardized)), 1e-9);
}

TEST(Ridge, StatedDeviationCoversWhatIsObserved) {
  const Data table = random_data(90, 60, 5, 1.0);
  const Data fresh = random_data(91, 2'000, 5, 1.0);
  RidgePredictor ridge(std::nullopt);
  ridge.fit(table.rows, table.targets);
  double within = 0.0;
  for (std::size_t i = 0; i < fresh.rows.size(); ++i) {
    const Prediction prediction = ridge.predict(fresh.rows[i]);
    within += std::abs(prediction.mean - fresh.targets[i]) <= prediction.std_dev ? 1.0 / 2'000 : 0.0;
  }
  EXPECT_NEAR(within, 0.683, 0.08);  // of a normal error; 60 rows know the noise to about 9 %
}

TEST(Ridge, IgnoresConstantAndKeepsDuplicateColumns) {
  const Data data = random_data(95, 20, 2, 0.1);
  Table wider = data.rows;
  for (auto& row : wider) {
    row.push_back(7.0);
    row.push_back(row[0]);
  }
  RidgePredictor narrow(1e-6);
  RidgePredictor wide(1e-6);
  narrow.fit(data.rows, data.targets);
  wide.fit(wider, data.targets);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(wide.predict(wider[i]).mean, narrow.predict(data.rows[i]).mean, 1e-4);
  }
  std::vector<double> other = wider[3];
  other[2] = 1e6;
  EXPECT_EQ(wide.predict(other).mean, wide.predict(wider[3]).mean);
}

}  // namespace
}  // namespace cosearch
