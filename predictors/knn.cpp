#include "predictors/knn.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "predictors/registry.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

}  // namespace

NearestNeighboursPredictor::NearestNeighboursPredictor(std::size_t k) : k_(k) {
  COSEARCH_CHECK(k >= 1, "k is positive");
}

std::vector<NearestNeighboursPredictor::Neighbour> NearestNeighboursPredictor::nearest(const Row& standardized,
                                                                                       std::size_t excluded) const {
  std::vector<Neighbour> neighbours;
  neighbours.reserve(rows_.size());
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (i == excluded) {
      continue;
    }
    double squared = 0.0;
    for (std::size_t j = 0; j < standardized.size(); ++j) {
      const double difference = standardized[j] - rows_[i][j];
      squared += difference * difference;
    }
    neighbours.push_back({squared, i});
  }
  const auto nearer = [](const Neighbour& a, const Neighbour& b) {
    return a.squared_distance != b.squared_distance ? a.squared_distance < b.squared_distance : a.row < b.row;
  };
  const std::size_t count = std::min(k_, neighbours.size());
  std::partial_sort(neighbours.begin(), neighbours.begin() + static_cast<std::ptrdiff_t>(count), neighbours.end(),
                    nearer);
  neighbours.resize(count);
  return neighbours;
}

NearestNeighboursPredictor::Estimate NearestNeighboursPredictor::estimate(
    const std::vector<Neighbour>& neighbours) const {
  const bool exact = neighbours.front().squared_distance == 0.0;
  const auto weight = [exact](const Neighbour& neighbour) {
    if (exact) {
      return neighbour.squared_distance == 0.0 ? 1.0 : 0.0;
    }
    return 1.0 / std::sqrt(neighbour.squared_distance);
  };
  double sum = 0.0;
  Estimate result;
  for (const Neighbour& neighbour : neighbours) {
    sum += weight(neighbour);
    result.mean += weight(neighbour) * targets_[neighbour.row];
    result.squared_distance += weight(neighbour) * neighbour.squared_distance;
  }
  result.mean /= sum;
  result.squared_distance /= sum;
  for (const Neighbour& neighbour : neighbours) {
    const double deviation = targets_[neighbour.row] - result.mean;
    result.spread += weight(neighbour) * deviation * deviation / sum;
  }
  return result;
}

void NearestNeighboursPredictor::fit(std::span<const Row> rows, std::span<const double> targets) {
  check_targets(rows, targets);
  standardizer_ = Standardizer(rows);
  targets_.assign(targets.begin(), targets.end());
  rows_.clear();
  for (const Row& row : rows) {
    rows_.push_back(standardizer_.apply(row));
  }
  squared_slope_ = 0.0;
  scale_ = 1.0;
  if (rows_.size() == 1) {
    return;
  }
  std::vector<Estimate> others;  // of each row, from the other rows
  double squared_changes = 0.0;
  double squared_distances = 0.0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const std::vector<Neighbour> neighbours = nearest(rows_[i], i);
    const double change = targets_[i] - targets_[neighbours.front().row];
    squared_changes += change * change;
    squared_distances += neighbours.front().squared_distance;
    others.push_back(estimate(neighbours));
  }
  squared_slope_ = squared_distances > 0.0 ? squared_changes / squared_distances : 0.0;
  double squared_errors = 0.0;
  double variances = 0.0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const double error = targets_[i] - others[i].mean;
    squared_errors += error * error;
    variances += others[i].spread + squared_slope_ * others[i].squared_distance;
  }
  scale_ = variances > 0.0 ? squared_errors / variances : 1.0;
}

Prediction NearestNeighboursPredictor::predict(const Row& row) const {
  COSEARCH_CHECK(!rows_.empty(), "fit comes before predict");
  if (rows_.size() == 1) {
    return {targets_[0], std::abs(targets_[0])};
  }
  const Estimate result = estimate(nearest(standardizer_.apply(row), kNone));
  return {result.mean, std::sqrt(scale_ * (result.spread + squared_slope_ * result.squared_distance))};
}

std::unique_ptr<Predictor> make_knn(const nlohmann::json& options) {
  const JsonReader reader = JsonReader::of_options(options);
  reader.only({"k"});
  constexpr std::int64_t kMostNeighbours = 1'000'000;
  return std::make_unique<NearestNeighboursPredictor>(
      static_cast<std::size_t>(reader.integer("k", 5, 1, kMostNeighbours)));
}

}  // namespace cosearch
