#pragma once

#include <span>
#include <vector>

namespace cosearch {

/// A linear model target ~ sum_j coefficient[j] * row[j], fitted for calibration.
struct LinearFit {
  std::vector<double> coefficients;
  std::vector<double> relative_errors;                ///< (fitted - target) / target of each row
  std::vector<double> leave_one_out_relative_errors;  ///< the same, each row predicted by a fit without it
};

/// Minimises the sum of squared *relative* errors (targets > 0), with coefficients >= 0 when `non_negative` (active
/// sets: Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23). There are more rows than coefficients,
/// and the rows determine all coefficients, also when any one of them is left out.
/// @throws std::invalid_argument naming the broken rule.
[[nodiscard]] LinearFit fit_relative(std::span<const std::vector<double>> rows, std::span<const double> targets,
                                     bool non_negative);

}  // namespace cosearch
