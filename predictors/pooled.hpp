#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace cosearch {

/// What something took on a device with an engine, e.g. the cycles of a network.
struct PooledRow {
  std::size_t device = 0;
  std::size_t engine = 0;
  std::vector<double> features;  ///< >= 0, not all 0
  double target = 0.0;           ///< > 0
};

/// How far quantities lie from each other: standard deviations of logarithms, so 0.1 is about 10 %.
struct PooledOptions {
  double noise = 0.1;         ///< a measurement about the model
  double ratio_spread = 0.3;  ///< an engine's rate of a feature about that of all engines
  double pair_spread = 0.1;   ///< a device with an engine about device times engine
  double base_spread = 1.0;   ///< the rate of all engines about `base`
  std::vector<double> base;   ///< rates of the features before anything was measured, > 0; empty: all 1
};

/// target = device * pair * sum over features of rate[engine][feature] * feature.
struct PooledFit {
  std::vector<double> device;                                  ///< scale of each
  std::vector<std::vector<double>> rates;                      ///< by engine, by feature, the engine's own scale in it
  std::map<std::pair<std::size_t, std::size_t>, double> pair;  ///< (device, engine) that have rows; of others: 1
  std::size_t parameters = 0;  ///< numbers that the fit chose, held together by the spreads
  /// How many of them the rows chose: the trace of the hat matrix of the linearised model (Hastie, Tibshirani and
  /// Friedman, "The Elements of Statistical Learning", 2009, section 5.4.1).
  double effective_parameters = 0.0;

  [[nodiscard]] double predict(std::size_t device_index, std::size_t engine_index,
                               std::span<const double> features) const;
};

/// Most probable scales and rates, given the rows: minimises the squares of log(target / model) / noise and of all
/// deviations over their spreads, by Gauss and Newton's method (partial pooling: Gelman and Hill, "Data Analysis Using
/// Regression and Multilevel/Hierarchical Models", 2007, chapter 12). An engine with few rows has the others' ratios
/// between features; a device and an engine that were never measured together, the product of their scales.
///
/// Devices and engines that no row names keep scale 1 and pooled rates; devices are scaled so that those of the rows
/// have the geometric mean 1. Where rows fall into parts that share no device and no engine, scales of one part say
/// nothing about the other.
/// @throws std::invalid_argument naming the broken rule.
[[nodiscard]] PooledFit fit_pooled(std::span<const PooledRow> rows, const PooledOptions& options);

}  // namespace cosearch
