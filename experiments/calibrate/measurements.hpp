#pragma once

#include <optional>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

namespace cosearch::calibrate {

/// One network and how long an inference of it took.
struct Measurement {
  int line = 0;         ///< of the file, from 1
  std::string network;  ///< as written there
  graph::NetworkGraph graph;
  double measured_ms = 0.0;
};

struct Measurements {
  std::string file;
  std::vector<Measurement> rows;
  std::optional<double> clock_mhz;  ///< where the file has the column: the same in all rows
};

/// A CSV file: `#` comments, a header with `network` (a name of the catalogue, or a .json file whose path is relative
/// to the CSV's folder), `measured_ms` and perhaps `clock_mhz`, and a row for each network. Cells have no quotes.
/// @throws ConfigError with file and line: a cell that is no positive number, a network that is not known, malformed or
/// there twice, clocks that differ (wait states would, too), columns that are missing or not known.
[[nodiscard]] Measurements read_measurements(const std::string& path);

}  // namespace cosearch::calibrate
