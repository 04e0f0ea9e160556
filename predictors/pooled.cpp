#include "predictors/pooled.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace cosearch {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

/// Spread of scales that nothing is known of: wide, and yet the equations stay regular.
constexpr double kFreeSpread = 100.0;
constexpr int kMostSteps = 50;
/// Longest step in a logarithm: the linearised model is not to be trusted further away.
constexpr double kLongestStep = 2.0;
constexpr double kConverged = 1e-6;

void require(bool rule, const std::string& message) {
  if (!rule) {
    throw std::invalid_argument("pooled fit: " + message);
  }
}

void check_rows(std::span<const PooledRow> rows, const PooledOptions& options) {
  require(!rows.empty() && !rows[0].features.empty(), "needs rows with at least one feature");
  const std::size_t count = rows[0].features.size();
  require(options.base.empty() || options.base.size() == count,
          fmt::format("{} base rates for {} features", options.base.size(), count));
  for (const double base : options.base) {
    require(std::isfinite(base) && base > 0.0, fmt::format("base rate {}, expected a positive number", base));
  }
  for (const double spread : {options.noise, options.ratio_spread, options.pair_spread, options.base_spread}) {
    require(std::isfinite(spread) && spread > 0.0, fmt::format("spread {}, expected a positive number", spread));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows[i].features.size() == count,
            fmt::format("row {} has {} features, expected {}", i, rows[i].features.size(), count));
    double sum = 0.0;
    for (const double value : rows[i].features) {
      require(std::isfinite(value) && value >= 0.0, fmt::format("row {} holds {}", i, value));
      sum += value;
    }
    require(sum > 0.0, fmt::format("row {} has no feature above 0", i));
    require(std::isfinite(rows[i].target) && rows[i].target > 0.0,
            fmt::format("target {} is {}, expected a positive number", i, rows[i].target));
  }
}

/// Where the logarithms of a model stand in the vector of all unknowns.
class Layout {
 public:
  explicit Layout(std::span<const PooledRow> rows) : features_(static_cast<Index>(rows[0].features.size())) {
    for (const PooledRow& row : rows) {
      devices_ = std::max(devices_, static_cast<Index>(row.device) + 1);
      engines_ = std::max(engines_, static_cast<Index>(row.engine) + 1);
      pairs_.emplace(std::pair{row.device, row.engine}, 0);
    }
    Index next = 0;
    for (auto& [pair, position] : pairs_) {
      position = next++;
    }
  }

  [[nodiscard]] Index features() const { return features_; }
  [[nodiscard]] Index devices() const { return devices_; }
  [[nodiscard]] Index engines() const { return engines_; }
  [[nodiscard]] Index size() const { return pair_begin() + static_cast<Index>(pairs_.size()); }
  [[nodiscard]] static Index pooled(Index feature) { return feature; }
  [[nodiscard]] Index engine(Index engine) const { return features_ + engine; }
  [[nodiscard]] Index deviation(Index engine, Index feature) const {
    return features_ + engines_ + engine * features_ + feature;
  }
  [[nodiscard]] Index device(Index device) const { return deviation(engines_, 0) + device; }
  [[nodiscard]] Index pair(std::size_t device, std::size_t engine) const {
    return pair_begin() + pairs_.at({device, engine});
  }
  [[nodiscard]] const std::map<std::pair<std::size_t, std::size_t>, Index>& pairs() const { return pairs_; }

  /// 1 / variance of each unknown, in units of the noise.
  [[nodiscard]] VectorXd precisions(const PooledOptions& options) const {
    const auto precision = [&](double spread) { return options.noise * options.noise / (spread * spread); };
    VectorXd all = VectorXd::Constant(size(), precision(kFreeSpread));
    all.head(features_).setConstant(precision(options.base_spread));
    all.segment(deviation(0, 0), engines_ * features_).setConstant(precision(options.ratio_spread));
    all.tail(static_cast<Index>(pairs_.size())).setConstant(precision(options.pair_spread));
    return all;
  }

  [[nodiscard]] double log_rate(const VectorXd& unknowns, Index engine_index, Index feature) const {
    return unknowns[pooled(feature)] + unknowns[engine(engine_index)] + unknowns[deviation(engine_index, feature)];
  }

 private:
  [[nodiscard]] Index pair_begin() const { return device(devices_); }

  Index features_;
  Index devices_ = 0;
  Index engines_ = 0;
  std::map<std::pair<std::size_t, std::size_t>, Index> pairs_;
};

/// The log of a row's model, and its derivatives by all unknowns.
double linearise(const Layout& layout, const PooledRow& row, const VectorXd& unknowns, VectorXd& slope) {
  const Index engine = static_cast<Index>(row.engine);
  slope.setZero();
  double sum = 0.0;
  for (Index j = 0; j < layout.features(); ++j) {
    const double part = std::exp(layout.log_rate(unknowns, engine, j)) * row.features[static_cast<std::size_t>(j)];
    slope[Layout::pooled(j)] = slope[layout.deviation(engine, j)] = part;
    sum += part;
  }
  slope /= sum;
  const Index device = layout.device(static_cast<Index>(row.device));
  const Index pair = layout.pair(row.device, row.engine);
  slope[layout.engine(engine)] = slope[device] = slope[pair] = 1.0;
  return std::log(sum) + unknowns[device] + unknowns[pair];
}

struct Solution {
  VectorXd unknowns;
  double effective_parameters = 0.0;
};

Solution solve(const Layout& layout, std::span<const PooledRow> rows, const PooledOptions& options) {
  const VectorXd precisions = layout.precisions(options);
  VectorXd prior = VectorXd::Zero(layout.size());
  for (std::size_t j = 0; j < options.base.size(); ++j) {
    prior[static_cast<Index>(j)] = std::log(options.base[j]);
  }
  Solution solution{prior, 0.0};
  VectorXd& unknowns = solution.unknowns;
  VectorXd slope(layout.size());
  for (int step = 0; step < kMostSteps; ++step) {
    MatrixXd normal = precisions.asDiagonal();
    VectorXd right = precisions.cwiseProduct(prior - unknowns);
    for (const PooledRow& row : rows) {
      const double residual = std::log(row.target) - linearise(layout, row, unknowns, slope);
      normal.selfadjointView<Eigen::Lower>().rankUpdate(slope);
      right += residual * slope;
    }
    const auto factors = normal.selfadjointView<Eigen::Lower>().ldlt();
    const VectorXd change = factors.solve(right);
    const double longest = change.cwiseAbs().maxCoeff();
    unknowns += longest > kLongestStep ? VectorXd(change * (kLongestStep / longest)) : change;
    if (longest < kConverged || step + 1 == kMostSteps) {
      const MatrixXd held = factors.solve(MatrixXd(precisions.asDiagonal()));
      solution.effective_parameters = static_cast<double>(layout.size()) - held.trace();
      break;
    }
  }
  return solution;
}

}  // namespace

double PooledFit::predict(std::size_t device_index, std::size_t engine_index, std::span<const double> features) const {
  double sum = 0.0;
  for (std::size_t j = 0; j < features.size(); ++j) {
    sum += rates.at(engine_index)[j] * features[j];
  }
  const auto found = pair.find({device_index, engine_index});
  return sum * device.at(device_index) * (found == pair.end() ? 1.0 : found->second);
}

PooledFit fit_pooled(std::span<const PooledRow> rows, const PooledOptions& options) {
  check_rows(rows, options);
  const Layout layout(rows);
  const Solution solution = solve(layout, rows, options);
  const VectorXd& unknowns = solution.unknowns;
  std::map<Index, double> named;
  for (const PooledRow& row : rows) {
    const Index device = static_cast<Index>(row.device);
    named[device] = unknowns[layout.device(device)];
  }
  double level = 0.0;
  for (const auto& [device, scale] : named) {
    level += scale / static_cast<double>(named.size());
  }
  PooledFit fit;
  fit.parameters = static_cast<std::size_t>(layout.size());
  fit.effective_parameters = solution.effective_parameters;
  for (Index device = 0; device < layout.devices(); ++device) {
    const auto found = named.find(device);
    fit.device.push_back(found == named.end() ? 1.0 : std::exp(found->second - level));
  }
  for (Index engine = 0; engine < layout.engines(); ++engine) {
    std::vector<double>& rates = fit.rates.emplace_back();
    for (Index j = 0; j < layout.features(); ++j) {
      rates.push_back(std::exp(layout.log_rate(unknowns, engine, j) + level));
    }
  }
  for (const auto& [pair, position] : layout.pairs()) {
    fit.pair[pair] = std::exp(unknowns[layout.pair(pair.first, pair.second)]);
  }
  return fit;
}

}  // namespace cosearch
