#include "predictors/least_squares.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "spaces/base/rng.hpp"
#include "tests/predictors/linear_oracle.hpp"

namespace cosearch {
namespace {

using testing::dot;
using ::testing::HasSubstr;
using testing::normal_equations;
using testing::Table;
using testing::without;

struct Problem {
  Table rows;
  std::vector<double> targets;
};

Problem random_problem(std::uint64_t index, std::size_t rows, std::size_t features, double noise) {
  RngStream rng(1, Purpose::test, index);
  std::vector<double> truth;
  for (std::size_t j = 0; j < features; ++j) {
    truth.push_back(rng.normal());
  }
  Problem problem;
  while (problem.rows.size() < rows) {
    std::vector<double> row;
    for (std::size_t j = 0; j < features; ++j) {
      row.push_back(rng.uniform() * (j % 2 == 0 ? 1e6 : 1.0));  // units far apart
    }
    const double target = std::abs(dot(row, truth)) * (1.0 + noise * rng.normal()) + 0.1;
    if (target > 0.0) {
      problem.rows.push_back(row);
      problem.targets.push_back(target);
    }
  }
  return problem;
}

/// The rows divided by their targets; the relative fit aims at 1.
Table relative_rows(const Problem& problem) {
  Table rows = problem.rows;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (double& value : rows[i]) {
      value /= problem.targets[i];
    }
  }
  return rows;
}

/// Columns brought to like size, so that the normal equations stay well conditioned.
std::vector<double> unconstrained(Table rows) {
  const std::vector<double> ones(rows.size(), 1.0);
  std::vector<double> scale(rows[0].size(), 0.0);
  for (const auto& row : rows) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      scale[j] = std::max(scale[j], std::abs(row[j]));
    }
  }
  for (auto& row : rows) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      row[j] /= scale[j];
    }
  }
  std::vector<double> solution = normal_equations(rows, ones, std::vector<double>(scale.size(), 0.0));
  for (std::size_t j = 0; j < scale.size(); ++j) {
    solution[j] /= scale[j];
  }
  return solution;
}

double squared_error(const Table& rows, const std::vector<double>& coefficients) {
  double sum = 0.0;
  for (const auto& row : rows) {
    const double error = dot(row, coefficients) - 1.0;
    sum += error * error;
  }
  return sum;
}

/// The best of all 2^n active sets whose solution is non-negative.
std::vector<double> brute_force_non_negative(const Table& rows) {
  const std::size_t features = rows[0].size();
  std::vector<double> best(features, 0.0);
  for (unsigned set = 1; set < 1U << features; ++set) {
    std::vector<std::size_t> members;
    for (std::size_t j = 0; j < features; ++j) {
      if ((set >> j & 1U) != 0) {
        members.push_back(j);
      }
    }
    Table reduced;
    for (const auto& row : rows) {
      reduced.emplace_back();
      for (const std::size_t j : members) {
        reduced.back().push_back(row[j]);
      }
    }
    const std::vector<double> part = unconstrained(reduced);
    std::vector<double> candidate(features, 0.0);
    bool feasible = true;
    for (std::size_t m = 0; m < members.size(); ++m) {
      candidate[members[m]] = part[m];
      feasible = feasible && part[m] >= 0.0;
    }
    if (feasible && squared_error(rows, candidate) < squared_error(rows, best)) {
      best = candidate;
    }
  }
  return best;
}

void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, const Table& rows) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& row : rows) {  // by their predictions, which have one unit
    ASSERT_NEAR(dot(row, actual), dot(row, expected), 1e-7);
  }
}

TEST(LeastSquares, RecoversExactCoefficients) {
  // target = 2 a + 3 b
  const Table rows{{1, 0}, {0, 1}, {1, 1}, {4, 2}};
  const std::vector<double> targets{2, 3, 5, 14};
  for (const bool non_negative : {false, true}) {
    const LinearFit fit = fit_relative(rows, targets, non_negative);
    EXPECT_NEAR(fit.coefficients[0], 2.0, 1e-12);
    EXPECT_NEAR(fit.coefficients[1], 3.0, 1e-12);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_NEAR(fit.relative_errors[i], 0.0, 1e-12);
      EXPECT_NEAR(fit.leave_one_out_relative_errors[i], 0.0, 1e-12);
    }
  }
}

TEST(LeastSquares, SmallCaseByHand) {
  // One coefficient c, rows 1 and 1, targets 1 and 2: (c - 1)^2 + (c / 2 - 1)^2 is least at c = 1.2; leaving out one
  // row, c is the other's target.
  const LinearFit fit = fit_relative(Table{{1}, {1}}, std::vector<double>{1, 2}, false);
  EXPECT_NEAR(fit.coefficients[0], 1.2, 1e-12);
  EXPECT_NEAR(fit.relative_errors[0], 0.2, 1e-12);
  EXPECT_NEAR(fit.relative_errors[1], -0.4, 1e-12);
  EXPECT_NEAR(fit.leave_one_out_relative_errors[0], 1.0, 1e-12);
  EXPECT_NEAR(fit.leave_one_out_relative_errors[1], -0.5, 1e-12);
}

TEST(LeastSquares, MatchesTheNormalEquationsAndRefitsWithoutEachRow) {
  for (std::uint64_t index = 0; index < 40; ++index) {
    const Problem problem = random_problem(index, 8 + index % 7, 1 + index % 5, 0.3);
    const Table rows = relative_rows(problem);
    const LinearFit fit = fit_relative(problem.rows, problem.targets, false);
    expect_close(fit.coefficients, unconstrained(rows), rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_NEAR(fit.relative_errors[i], dot(rows[i], fit.coefficients) - 1.0, 1e-9);
      const double refit = dot(rows[i], unconstrained(without(rows, i))) - 1.0;
      ASSERT_NEAR(fit.leave_one_out_relative_errors[i], refit, 1e-6 * (1.0 + std::abs(refit)));
    }
  }
}

TEST(LeastSquares, NonNegativeMatchesBruteForceOverActiveSets) {
  int bounded = 0;
  for (std::uint64_t index = 100; index < 180; ++index) {
    const Problem problem = random_problem(index, 9 + index % 5, 2 + index % 5, 0.3);
    const Table rows = relative_rows(problem);
    const LinearFit fit = fit_relative(problem.rows, problem.targets, true);
    const std::vector<double> expected = brute_force_non_negative(rows);
    expect_close(fit.coefficients, expected, rows);
    bounded += squared_error(rows, expected) > squared_error(rows, unconstrained(rows)) + 1e-9 ? 1 : 0;
    for (std::size_t j = 0; j < expected.size(); ++j) {
      ASSERT_GE(fit.coefficients[j], 0.0);
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double refit = dot(rows[i], brute_force_non_negative(without(rows, i))) - 1.0;
      ASSERT_NEAR(fit.leave_one_out_relative_errors[i], refit, 1e-6 * (1.0 + std::abs(refit)));
    }
  }
  EXPECT_GT(bounded, 30);  // the constraint mattered
}

TEST(LeastSquares, DoesNotDependOnTheFeaturesUnits) {
  const Problem problem = random_problem(300, 10, 3, 0.2);
  Table scaled = problem.rows;
  for (auto& row : scaled) {
    row[1] *= 1e9;
  }
  for (const bool non_negative : {false, true}) {
    const LinearFit a = fit_relative(problem.rows, problem.targets, non_negative);
    const LinearFit b = fit_relative(scaled, problem.targets, non_negative);
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_NEAR(a.leave_one_out_relative_errors[i], b.leave_one_out_relative_errors[i], 1e-9);
    }
  }
}

TEST(LeastSquares, BrokenRulesAreNamed) {
  const auto message = [](const Table& rows, const std::vector<double>& targets) -> std::string {
    try {
      static_cast<void>(fit_relative(rows, targets, false));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(message({{1}, {2}}, {1}), HasSubstr("2 rows but 1 targets"));
  EXPECT_THAT(message({}, {}), HasSubstr("at least one feature"));
  EXPECT_THAT(message({{1, 2}, {2, 1}}, {1, 1}), HasSubstr("2 rows cannot determine 2 coefficients with one row"));
  EXPECT_THAT(message({{1}, {1, 2}, {1}}, {1, 1, 1}), HasSubstr("row 1 has 2 features, expected 1"));
  EXPECT_THAT(message({{1}, {2}}, {1, 0}), HasSubstr("target 1 is 0, expected a positive number"));
  EXPECT_THAT(message({{1}, {std::numeric_limits<double>::infinity()}}, {1, 1}), HasSubstr("row 1 holds inf"));
  EXPECT_THAT(message({{1, 2}, {2, 4}, {3, 6}}, {1, 1, 1}), HasSubstr("determine only 1 of 2 coefficients"));
  EXPECT_THAT(message({{1, 0}, {2, 0}, {3, 1}}, {1, 1, 1}), HasSubstr("feature 1 is 0 in all rows when row 2"));
  EXPECT_THAT(message({{1, 2}, {2, 4}, {3, 1}}, {1, 1, 1}),
              HasSubstr("determine only 1 of 2 coefficients when row 2 is left out"));
}

}  // namespace
}  // namespace cosearch
