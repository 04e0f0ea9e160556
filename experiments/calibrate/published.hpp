#pragma once

#include <map>
#include <string>
#include <vector>

#include "hwmodels/mcu/coefficients.hpp"

/// Published latencies of microcontrollers (hwmodels/data/mcu_latencies.json).
namespace cosearch::calibrate {

/// How long somebody's network took on a board with an engine.
struct PublishedLatency {
  std::string board;
  std::string engine;
  std::string generation;  ///< of engines whose tables are years apart; may be empty
  std::string network;
  double measured_ms = 0.0;
  double clock_mhz = 0.0;

  [[nodiscard]] double cycles() const { return measured_ms * clock_mhz * 1e3; }
  /// `tinyengine 2020`
  [[nodiscard]] std::string engine_generation() const {
    return generation.empty() ? engine : engine + " " + generation;
  }
};

struct PublishedLatencies {
  std::vector<PublishedLatency> rows;
  std::map<std::string, std::map<std::string, double>> networks;  ///< features of each, see mcu::features
  std::map<std::string, std::string> generation_in_use;           ///< by engine, where it has several
};

/// @throws ConfigError, see load_data, and for a network without features or a board that is not known.
[[nodiscard]] PublishedLatencies load_published(const std::string& data_directory);

}  // namespace cosearch::calibrate
