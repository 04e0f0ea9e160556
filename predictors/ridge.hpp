#pragma once

#include <optional>
#include <span>
#include <vector>

#include "predictors/predictor.hpp"
#include "predictors/standardizer.hpp"

namespace cosearch {

/// Linear regression with a quadratic penalty on standardised features: minimises
///   sum over rows of (target - intercept - weights . features)^2 + rows * lambda * |weights|^2
/// (Hoerl and Kennard, Technometrics 12(1), 1970). Unless given, lambda is the value of `lambda_grid` with the least
/// squared leave-one-out error, which has a closed form (Golub, Heath and Wahba, Technometrics 21(2), 1979); of equal
/// ones the largest. Works with fewer rows than features.
///
/// std_dev is that of a new observation under the Bayesian reading (weights normal with variance noise / (rows *
/// lambda)); the noise comes from the leave-one-out residuals, so it stays honest where the fit touches every row.
class RidgePredictor final : public Predictor {
 public:
  /// lambda > 0, or nothing to choose it.
  explicit RidgePredictor(std::optional<double> lambda);

  void fit(std::span<const Row> rows, std::span<const double> targets) override;
  [[nodiscard]] Prediction predict(const Row& row) const override;

  /// After fit: the penalty in use, and the root of the mean squared leave-one-out error (0 with one row).
  [[nodiscard]] double lambda() const noexcept { return lambda_; }
  [[nodiscard]] double leave_one_out_error() const noexcept { return leave_one_out_error_; }

  /// Ascending, half decades from 1e-6 to 1e3.
  [[nodiscard]] static std::span<const double> lambda_grid();

 private:
  std::optional<double> given_lambda_;
  double lambda_ = 0.0;
  double leave_one_out_error_ = 0.0;
  double rows_ = 0.0;
  double intercept_ = 0.0;
  double noise_variance_ = 0.0;
  Standardizer standardizer_;
  std::vector<double> weights_;
  std::vector<Row> directions_;          ///< right singular vectors of the standardised table
  std::vector<double> singular_values_;  ///< one per direction
};

}  // namespace cosearch
