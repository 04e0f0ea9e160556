#include "predictors/ridge.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "predictors/registry.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::array kLambdaGrid{1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2,
                                 1e-1, 3e-1, 1e0,  3e0,  1e1,  3e1,  1e2,  3e2,  1e3};

/// A centred table as U S V', and its targets in the basis U.
struct Decomposition {
  MatrixXd left;             // (rows, rank)
  VectorXd singular_values;  // (rank)
  MatrixXd right;            // (features, rank)
  VectorXd centred_targets;  // (rows)
  VectorXd projected;        // U' centred_targets
};

struct LeaveOneOut {
  double mean_square = 0.0;     // of the leave-one-out residuals
  double noise_variance = 0.0;  // what they say of the noise
};

/// Residuals of the fits without each row, from the hat matrix of the one with all rows: r_i / (1 - h_ii).
LeaveOneOut leave_one_out(const Decomposition& table, double penalty) {
  const Index rows = table.left.rows();
  const VectorXd squares = table.singular_values.array().square();
  const VectorXd shrinkage = squares.array() / (squares.array() + penalty);
  const VectorXd fitted = table.left * shrinkage.cwiseProduct(table.projected);
  const VectorXd leverage = table.left.array().square().matrix() * shrinkage;
  LeaveOneOut result;
  for (Index i = 0; i < rows; ++i) {
    // The last term is the intercept's leverage. Below the limit a residual is rounding.
    const double influence = std::max(1e-12, 1.0 - leverage(i) - 1.0 / static_cast<double>(rows));
    const double residual = (table.centred_targets(i) - fitted(i)) / influence;
    result.mean_square += residual * residual / static_cast<double>(rows);
    result.noise_variance += residual * residual * influence / static_cast<double>(rows);
  }
  return result;
}

Decomposition decompose(const std::vector<Row>& rows, std::span<const double> targets, double mean) {
  MatrixXd matrix(static_cast<Index>(rows.size()), static_cast<Index>(rows[0].size()));
  Decomposition table;
  table.centred_targets.resize(matrix.rows());
  for (Index i = 0; i < matrix.rows(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    matrix.row(i) = Eigen::Map<const VectorXd>(rows[at].data(), matrix.cols());
    table.centred_targets(i) = targets[at] - mean;
  }
  if (matrix.cols() == 0) {
    table.left.resize(matrix.rows(), 0);
    return table;
  }
  // The eigenvectors of the smaller Gram matrix. Squaring loses singular values below 1e-8 of the largest, which the
  // penalty drowns anyway.
  const bool tall = matrix.rows() >= matrix.cols();
  const MatrixXd gram = tall ? MatrixXd(matrix.transpose() * matrix) : MatrixXd(matrix * matrix.transpose());
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(gram);
  const VectorXd& squares = solver.eigenvalues();  // ascending
  const double negligible = 1e-14 * static_cast<double>(gram.rows()) * std::max(0.0, squares(squares.size() - 1));
  const Index rank = (squares.array() > negligible).count();
  const MatrixXd basis = solver.eigenvectors().rightCols(rank);
  table.singular_values = squares.tail(rank).cwiseSqrt();
  const MatrixXd other_side = tall ? MatrixXd(matrix * basis) : MatrixXd(matrix.transpose() * basis);
  const MatrixXd other_basis = other_side * table.singular_values.cwiseInverse().asDiagonal();
  table.left = tall ? other_basis : basis;
  table.right = tall ? basis : other_basis;
  table.projected = table.left.transpose() * table.centred_targets;
  return table;
}

}  // namespace

std::span<const double> RidgePredictor::lambda_grid() { return kLambdaGrid; }

RidgePredictor::RidgePredictor(std::optional<double> lambda) : given_lambda_(lambda) {
  COSEARCH_CHECK(!lambda || *lambda > 0.0, "lambda is positive");
}

void RidgePredictor::fit(std::span<const Row> rows, std::span<const double> targets) {
  check_targets(rows, targets);
  standardizer_ = Standardizer(rows);
  rows_ = static_cast<double>(rows.size());
  intercept_ = std::accumulate(targets.begin(), targets.end(), 0.0) / rows_;
  lambda_ = given_lambda_.value_or(kLambdaGrid.back());
  leave_one_out_error_ = 0.0;
  noise_variance_ = 0.0;
  weights_.assign(rows[0].size(), 0.0);
  directions_.clear();
  singular_values_.clear();
  if (rows.size() == 1) {
    noise_variance_ = targets[0] * targets[0];
    return;
  }
  std::vector<Row> standardized;
  for (const Row& row : rows) {
    standardized.push_back(standardizer_.apply(row));
  }
  const Decomposition table = decompose(standardized, targets, intercept_);
  if (!given_lambda_) {
    double least = std::numeric_limits<double>::infinity();
    for (const double candidate : kLambdaGrid) {
      const double error = leave_one_out(table, rows_ * candidate).mean_square;
      if (error <= least) {
        least = error;
        lambda_ = candidate;
      }
    }
  }
  const double penalty = rows_ * lambda_;
  const LeaveOneOut residuals = leave_one_out(table, penalty);
  leave_one_out_error_ = std::sqrt(residuals.mean_square);
  noise_variance_ = residuals.noise_variance;
  const VectorXd& s = table.singular_values;
  const VectorXd solution =
      table.right * (s.array() * table.projected.array() / (s.array().square() + penalty)).matrix();
  weights_.assign(solution.begin(), solution.end());
  singular_values_.assign(s.begin(), s.end());
  for (Index j = 0; j < s.size(); ++j) {
    const VectorXd direction = table.right.col(j);
    directions_.emplace_back(direction.begin(), direction.end());
  }
}

Prediction RidgePredictor::predict(const Row& row) const {
  COSEARCH_CHECK(rows_ > 0.0, "fit comes before predict");
  const Row x = standardizer_.apply(row);
  const double mean = std::inner_product(x.begin(), x.end(), weights_.begin(), intercept_);
  if (rows_ == 1.0) {
    return {mean, std::sqrt(noise_variance_)};
  }
  // x' (X'X + penalty)^-1 x, in the table's directions and, what is left of x, outside of them.
  const double penalty = rows_ * lambda_;
  double outside = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  double uncertainty = 0.0;
  for (std::size_t j = 0; j < directions_.size(); ++j) {
    const double along = std::inner_product(x.begin(), x.end(), directions_[j].begin(), 0.0);
    uncertainty += along * along / (singular_values_[j] * singular_values_[j] + penalty);
    outside -= along * along;
  }
  uncertainty += std::max(0.0, outside) / penalty;
  return {mean, std::sqrt(noise_variance_ * (1.0 + 1.0 / rows_ + uncertainty))};
}

std::unique_ptr<Predictor> make_ridge(const nlohmann::json& options) {
  const JsonReader reader = JsonReader::of_options(options);
  reader.only({"lambda"});
  const auto lambda = reader.find("lambda");
  return std::make_unique<RidgePredictor>(lambda ? std::optional(lambda->number({.lower = 1e-9, .upper = 1e9}))
                                                 : std::nullopt);
}

}  // namespace cosearch
