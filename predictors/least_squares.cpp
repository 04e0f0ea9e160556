#include "predictors/least_squares.hpp"

#include <fmt/format.h>

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

void check_table(std::span<const std::vector<double>> rows, std::span<const double> targets) {
  const auto require = [](bool rule, const std::string& message) {
    if (!rule) {
      throw std::invalid_argument("least squares: " + message);
    }
  };
  require(rows.size() == targets.size(), fmt::format("{} rows but {} targets", rows.size(), targets.size()));
  require(!rows.empty() && !rows[0].empty(), "needs rows with at least one feature");
  const std::size_t features = rows[0].size();
  require(rows.size() > features,
          fmt::format("{} rows cannot determine {} coefficients with one row left out", rows.size(), features));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows[i].size() == features,
            fmt::format("row {} has {} features, expected {}", i, rows[i].size(), features));
    for (const double value : rows[i]) {
      require(std::isfinite(value), fmt::format("row {} holds {}", i, value));
    }
    require(std::isfinite(targets[i]) && targets[i] > 0.0,
            fmt::format("target {} is {}, expected a positive number", i, targets[i]));
  }
}

/// The least-squares solution over the columns in `active`; the other entries are 0.
VectorXd solve_on(const MatrixXd& matrix, const VectorXd& target, const std::vector<Index>& active) {
  VectorXd solution = VectorXd::Zero(matrix.cols());
  if (!active.empty()) {
    const MatrixXd columns = matrix(Eigen::all, active);
    solution(active) = columns.colPivHouseholderQr().solve(target);
  }
  return solution;
}

/// min |matrix x - target|, x >= 0, by Lawson and Hanson's algorithm NNLS. Columns have unit length and full rank.
VectorXd solve_non_negative(const MatrixXd& matrix, const VectorXd& target) {
  const Index features = matrix.cols();
  // Gradients below this are rounding: the columns have length 1.
  const double tolerance = 1e-12 * target.norm();
  std::vector<Index> active;
  VectorXd solution = VectorXd::Zero(features);
  VectorXd gradient = matrix.transpose() * target;
  const Index limit = 100 * features + 100;
  for (Index round = 0;; ++round) {
    COSEARCH_CHECK(round < limit, "NNLS lowers the residual in each round");
    Index entering = -1;
    for (Index j = 0; j < features; ++j) {
      const bool is_active = std::find(active.begin(), active.end(), j) != active.end();
      if (!is_active && gradient(j) > tolerance && (entering < 0 || gradient(j) > gradient(entering))) {
        entering = j;
      }
    }
    if (entering < 0) {
      return solution;
    }
    active.push_back(entering);
    VectorXd trial = solve_on(matrix, target, active);
    if (trial(entering) <= 0.0) {  // its gradient was rounding after all
      active.pop_back();
      gradient(entering) = 0.0;
      continue;
    }
    while (true) {
      // The longest step towards the trial that keeps every coefficient non-negative.
      double step = 1.0;
      for (const Index j : active) {
        if (trial(j) <= 0.0) {
          step = std::min(step, solution(j) / (solution(j) - trial(j)));
        }
      }
      solution += step * (trial - solution);
      if (step == 1.0) {
        break;
      }
      std::vector<Index> kept;
      for (const Index j : active) {
        if (trial(j) > 0.0 || solution(j) > 1e-14) {
          kept.push_back(j);
        } else {
          solution(j) = 0.0;
        }
      }
      active = kept;
      trial = solve_on(matrix, target, active);
    }
    gradient = matrix.transpose() * (target - matrix * solution);
  }
}

/// Coefficients that minimise |relative x - 1|; `left_out` names the fit in errors.
VectorXd solve(const MatrixXd& relative, bool non_negative, const std::string& left_out) {
  // Columns of one length make pivoting and tolerances independent of the features' units.
  const VectorXd lengths = relative.colwise().norm();
  for (Index j = 0; j < lengths.size(); ++j) {
    if (!(lengths(j) > 0.0)) {
      throw std::invalid_argument(fmt::format("least squares: feature {} is 0 in all rows{}", j, left_out));
    }
  }
  const MatrixXd scaled = relative * lengths.cwiseInverse().asDiagonal();
  const Eigen::ColPivHouseholderQR<MatrixXd> factored(scaled);
  if (factored.rank() < scaled.cols()) {
    throw std::invalid_argument(fmt::format("least squares: the rows determine only {} of {} coefficients{}",
                                            factored.rank(), scaled.cols(), left_out));
  }
  const VectorXd ones = VectorXd::Ones(scaled.rows());
  const VectorXd solution = non_negative ? solve_non_negative(scaled, ones) : VectorXd(factored.solve(ones));
  return solution.cwiseQuotient(lengths);
}

}  // namespace

LinearFit fit_relative(std::span<const std::vector<double>> rows, std::span<const double> targets, bool non_negative) {
  check_table(rows, targets);
  const auto count = static_cast<Index>(rows.size());
  MatrixXd relative(count, static_cast<Index>(rows[0].size()));
  for (Index i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    relative.row(i) = Eigen::Map<const VectorXd>(rows[at].data(), relative.cols()) / targets[at];
  }
  const VectorXd solution = solve(relative, non_negative, "");
  LinearFit fit;
  fit.coefficients.assign(solution.begin(), solution.end());
  for (Index i = 0; i < count; ++i) {
    fit.relative_errors.push_back(relative.row(i).dot(solution) - 1.0);
    MatrixXd others(count - 1, relative.cols());
    others << relative.topRows(i), relative.bottomRows(count - 1 - i);
    const VectorXd without = solve(others, non_negative, fmt::format(" when row {} is left out", i));
    fit.leave_one_out_relative_errors.push_back(relative.row(i).dot(without) - 1.0);
  }
  return fit;
}

}  // namespace cosearch
