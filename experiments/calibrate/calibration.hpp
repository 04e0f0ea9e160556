#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/calibrate/measurements.hpp"
#include "hwmodels/mcu/coefficients.hpp"

/// Cycle coefficients of a microcontroller and an engine from measured latencies.
namespace cosearch::calibrate {

struct Options {
  std::string board;
  std::string engine;
  std::optional<double> clock_mhz;  ///< of the measurements; else the file's, else the board's highest
  std::string terms;                ///< see parse_terms; empty: chosen among default_term_sets
  std::string source;               ///< what the data file says of the measurements; empty: the CSV's name
  std::string data_directory;
};

/// How a model meets the measurements, networks in their order.
struct Predictions {
  std::vector<double> fitted_ms;
  std::vector<double> left_out_ms;  ///< each network predicted by a fit without it
};

/// Of predictions against measurements: relative errors without sign, and rank correlations.
struct Quality {
  double median_error = 0.0;
  double worst_error = 0.0;
  double kendall = 0.0;
  double spearman = 0.0;
};
/// Of the same length, `measured` positive.
[[nodiscard]] Quality quality(const std::vector<double>& predicted, const std::vector<double>& measured);

/// A set of terms that was tried.
struct Trial {
  std::string terms;
  std::optional<double> left_out_rms_error;  ///< root of the mean squared relative leave-one-out error
  std::string refusal;                       ///< why it cannot be taken; empty: it can
};

struct Calibration {
  mcu::CycleModel model;  ///< terms and rows filled in, ready for mcu::data_with_model
  std::string terms;
  std::vector<double> measured_ms;
  Predictions predictions;
  /// Each network predicted without it, its terms chosen without it too. What an engineer may expect of the next
  /// network; empty where terms were given or the rows are too few (< 3) or too many (> 100) for it.
  std::vector<double> chosen_left_out_ms;
  double macs_only_cycles = 0.0;  ///< per MAC
  Predictions macs_only;          ///< latency = macs * one coefficient
  std::vector<Trial> trials;      ///< where the terms were chosen
  double assumed_share = 0.0;  ///< largest part of a fitted latency that is assumed (mcu_coefficients.json), not fitted
  /// Kernels that multiply and that no measured network runs: their cycles follow from the terms, untested.
  std::vector<std::string> unmeasured;
};

/// Fits coefficients >= 0 to relative errors (see fit_relative), after the assumed cycles of the kernels that no term
/// can name were taken off. Chosen terms are those with the smallest leave-one-out error among the sets whose
/// coefficients are all above 0; of equal ones the first.
/// @throws ConfigError: board, engine or terms that are not known; with the CSV's name and line: too few rows for the
/// terms, terms that the rows do not determine or that leave a measured kernel without a price, a latency below its
/// assumed part, a network without multiplications.
[[nodiscard]] Calibration calibrate(const Measurements& measurements, const Options& options);

}  // namespace cosearch::calibrate
