#pragma once

#include <span>

#include "predictors/predictor.hpp"

namespace cosearch {

/// Brings features of different units to mean 0 and standard deviation 1 over a table's rows. A column that is
/// constant in the table tells nothing and becomes 0, also in rows that are asked for later.
class Standardizer {
 public:
  Standardizer() = default;
  /// Aborts unless there is a row, all have one length, and every number is finite.
  explicit Standardizer(std::span<const Row> rows);
  /// Aborts when the row's length is not the table's.
  [[nodiscard]] Row apply(const Row& row) const;

 private:
  Row mean_;
  Row scale_;  ///< 1 / standard deviation; 0 for a constant column
};

/// Aborts unless there are as many finite targets as rows.
void check_targets(std::span<const Row> rows, std::span<const double> targets);

}  // namespace cosearch
