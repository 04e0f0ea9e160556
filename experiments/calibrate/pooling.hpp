#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "experiments/calibrate/calibration.hpp"
#include "experiments/calibrate/published.hpp"
#include "hwmodels/mcu/coefficients.hpp"
#include "predictors/pooled.hpp"

/// One model of all published latencies: cycles = scale of the board * sum over terms of the engine's rate * feature,
/// so that boards and engines with few rows borrow from those with many.
namespace cosearch::calibrate {

/// A row, and what models say of it that have not seen it. Unknown: nothing is left to tell.
struct PooledPrediction {
  PublishedLatency row;
  double fitted_ms = 0.0;                     ///< with all rows
  std::optional<double> network_left_out_ms;  ///< the network left out of all tables, of the choice of terms too
  std::optional<double> macs_only_ms;         ///< one coefficient per board and engine, the network left out
  std::optional<double> pair_left_out_ms;     ///< all rows of the board with the engine left out
};

struct Pooling {
  std::string name;              ///< of the terms, see parse_terms
  std::vector<mcu::Term> terms;  ///< coefficients 0
  std::vector<Trial> trials;
  std::vector<std::string> boards;   ///< those with rows; PooledFit's devices
  std::vector<std::string> engines;  ///< with their generation; PooledFit's engines
  std::size_t networks = 0;
  PooledFit fit;  ///< of all rows
  std::vector<PooledPrediction> rows;
};

/// Fits pooled rates (fit_pooled with its default spreads) to the cycles that are left when those of kernels that no
/// term can name are taken off. The terms are those of pooled_term_sets with the smallest root mean square of
/// log(predicted / measured) over networks left out; of equal sets the first. @throws ConfigError, see load_data.
[[nodiscard]] Pooling pool(const PublishedLatencies& published, const std::string& data_directory);

/// The whole mcu_coefficients.json with `pooling` in it: pairs of a board and an engine (of the generation in use) that
/// were measured and have no model of their own; scales of boards and rates of engines for the others. A board and an
/// engine that were measured with nothing but each other are a pair only: their scales cannot be told apart.
/// @throws ConfigError, see load_data.
[[nodiscard]] nlohmann::json data_with_pooled(const Pooling& pooling, const PublishedLatencies& published,
                                              const std::string& data_directory);

/// Of the rows that have both predictions: errors of the first against the measured latencies.
[[nodiscard]] Quality quality_of(const std::vector<PooledPrediction>& rows,
                                 std::optional<double> PooledPrediction::*predicted,
                                 std::optional<double> PooledPrediction::*also);

}  // namespace cosearch::calibrate
