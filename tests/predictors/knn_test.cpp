#include "predictors/knn.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

TEST(NearestNeighbours, WeighsByInverseDistance) {
  // One feature -3, -1, 1, 3 (standardising keeps ratios of distances). At 0 with k = 2: -1 and 1, equally.
  NearestNeighboursPredictor knn(2);
  knn.fit(std::vector<Row>{{-3}, {-1}, {1}, {3}}, std::vector<double>{10, 20, 40, 80});
  EXPECT_DOUBLE_EQ(knn.predict({0}).mean, 30.0);
  // At 0.5: distances 1.5 and 0.5, weights 1 : 3.
  EXPECT_NEAR(knn.predict({0.5}).mean, 35.0, 1e-12);
  // At a row: that row alone.
  EXPECT_DOUBLE_EQ(knn.predict({3}).mean, 80.0);
}

TEST(NearestNeighbours, EqualRowsAreAveraged) {
  NearestNeighboursPredictor knn(3);
  knn.fit(std::vector<Row>{{0, 1}, {0, 1}, {5, 2}, {9, 9}}, std::vector<double>{1, 2, 50, 60});
  EXPECT_DOUBLE_EQ(knn.predict({0, 1}).mean, 1.5);
  EXPECT_GT(knn.predict({0, 1}).std_dev, 0.0);
}

TEST(NearestNeighbours, TiesAreBrokenByRow) {
  NearestNeighboursPredictor knn(1);
  knn.fit(std::vector<Row>{{-1}, {1}}, std::vector<double>{5, 7});
  EXPECT_DOUBLE_EQ(knn.predict({0}).mean, 5.0);
}

/// The whole predictor again, by full sorting and plain loops.
struct Oracle {
  std::vector<Row> rows;
  std::vector<double> targets;
  std::size_t k;

  [[nodiscard]] Prediction parts(const Row& x, std::size_t excluded, double& squared_distance) const {
    std::vector<std::pair<double, std::size_t>> all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      double squared = 0.0;
      for (std::size_t j = 0; j < x.size(); ++j) {
        squared += std::pow(x[j] - rows[i][j], 2);
      }
      if (i != excluded) {
        all.emplace_back(squared, i);
      }
    }
    std::sort(all.begin(), all.end());
    all.resize(std::min(k, all.size()));
    double sum = 0.0;
    double mean = 0.0;
    double square = 0.0;
    squared_distance = 0.0;
    for (const auto& [squared, i] : all) {
      const double weight = 1.0 / std::sqrt(squared);
      sum += weight;
      mean += weight * targets[i];
      square += weight * targets[i] * targets[i];
      squared_distance += weight * squared;
    }
    squared_distance /= sum;
    return {mean / sum, square / sum - std::pow(mean / sum, 2)};
  }
};

TEST(NearestNeighbours, MatchesFullSortingOnStandardisedFeatures) {
  RngStream rng(3, Purpose::test, 0);
  std::vector<Row> rows;
  std::vector<double> targets;
  for (int i = 0; i < 60; ++i) {
    rows.push_back({rng.normal(), 1000.0 * rng.uniform(), 4.0});
    targets.push_back(std::sin(rows.back()[0]) + rows.back()[1] / 500.0 + 0.1 * rng.normal());
  }
  NearestNeighboursPredictor knn(5);
  knn.fit(rows, targets);

  std::vector<double> mean(3, 0.0);
  std::vector<double> deviation(3, 0.0);
  for (std::size_t j = 0; j < 3; ++j) {
    for (const Row& row : rows) {
      mean[j] += row[j] / 60.0;
    }
    for (const Row& row : rows) {
      deviation[j] += std::pow(row[j] - mean[j], 2) / 60.0;
    }
    deviation[j] = std::sqrt(deviation[j]);
  }
  const auto standardized = [&](const Row& row) {
    return Row{(row[0] - mean[0]) / deviation[0], (row[1] - mean[1]) / deviation[1], 0.0};
  };
  Oracle oracle{{}, targets, 5};
  for (const Row& row : rows) {
    oracle.rows.push_back(standardized(row));
  }
  double changes = 0.0;
  double distances = 0.0;
  for (std::size_t i = 0; i < 60; ++i) {
    double squared = 0.0;
    const Oracle nearest{oracle.rows, targets, 1};
    changes += std::pow(targets[i] - nearest.parts(oracle.rows[i], i, squared).mean, 2);
    distances += squared;
  }
  double errors = 0.0;
  double variances = 0.0;
  for (std::size_t i = 0; i < 60; ++i) {
    double squared = 0.0;
    const Prediction parts = oracle.parts(oracle.rows[i], i, squared);
    errors += std::pow(targets[i] - parts.mean, 2);
    variances += parts.std_dev + changes / distances * squared;
  }
  for (int i = 0; i < 50; ++i) {
    const Row row{rng.normal(), 1000.0 * rng.uniform(), 4.0};
    double squared = 0.0;
    const Prediction parts = oracle.parts(standardized(row), 60, squared);
    const Prediction prediction = knn.predict(row);
    ASSERT_NEAR(prediction.mean, parts.mean, 1e-10);
    ASSERT_NEAR(prediction.std_dev, std::sqrt(errors / variances * (parts.std_dev + changes / distances * squared)),
                1e-9);
  }
}

TEST(NearestNeighbours, IsLessSureFarAwayAndAmongDisagreement) {
  NearestNeighboursPredictor knn(3);
  std::vector<Row> rows;
  std::vector<double> targets;
  for (int i = 0; i < 20; ++i) {
    rows.push_back({static_cast<double>(i)});
    targets.push_back(i < 10 ? 1.0 + 0.01 * i : (i % 2 == 0 ? 0.0 : 9.0));
  }
  knn.fit(rows, targets);
  EXPECT_LT(knn.predict({4.4}).std_dev, knn.predict({15.4}).std_dev);
  EXPECT_LT(knn.predict({4.4}).std_dev, knn.predict({-30.0}).std_dev);
}

}  // namespace
}  // namespace cosearch
