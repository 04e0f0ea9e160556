#include "predictors/standardizer.hpp"

#include <algorithm>
#include <cmath>

#include "spaces/base/check.hpp"

namespace cosearch {

Standardizer::Standardizer(std::span<const Row> rows) {
  COSEARCH_CHECK(!rows.empty(), "a table has at least one row");
  const auto count = static_cast<double>(rows.size());
  mean_.assign(rows[0].size(), 0.0);
  Row largest(mean_.size(), 0.0);
  for (const Row& row : rows) {
    COSEARCH_CHECK(row.size() == mean_.size(), "all rows have one length");
    for (std::size_t j = 0; j < row.size(); ++j) {
      COSEARCH_CHECK(std::isfinite(row[j]), "features are finite");
      mean_[j] += row[j] / count;
      largest[j] = std::max(largest[j], std::abs(row[j]));
    }
  }
  Row variance(mean_.size(), 0.0);
  for (const Row& row : rows) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      variance[j] += (row[j] - mean_[j]) * (row[j] - mean_[j]) / count;
    }
  }
  for (std::size_t j = 0; j < variance.size(); ++j) {
    const double deviation = std::sqrt(variance[j]);
    // A spread this far below the values is their rounding.
    scale_.push_back(deviation > 1e-12 * largest[j] ? 1.0 / deviation : 0.0);
  }
}

Row Standardizer::apply(const Row& row) const {
  COSEARCH_CHECK(row.size() == mean_.size(), "a row has the table's number of features");
  Row standardized(row.size());
  for (std::size_t j = 0; j < row.size(); ++j) {
    standardized[j] = (row[j] - mean_[j]) * scale_[j];
  }
  return standardized;
}

void check_targets(std::span<const Row> rows, std::span<const double> targets) {
  COSEARCH_CHECK(rows.size() == targets.size(), "a table has one target per row");
  COSEARCH_CHECK(std::all_of(targets.begin(), targets.end(), [](double target) { return std::isfinite(target); }),
                 "targets are finite");
}

}  // namespace cosearch
