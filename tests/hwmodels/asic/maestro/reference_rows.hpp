#pragma once

#include <map>
#include <string>
#include <vector>

#include "hwmodels/asic/maestro/analysis.hpp"

namespace cosearch::testing {

/// One row of tests/data/maestro_resnet50.csv.
struct MaestroRow {
  maestro::Layer layer;
  std::string mapping;
  maestro::Hardware hardware;
  std::map<std::string, std::string> columns;

  [[nodiscard]] std::int64_t integer(const std::string& column) const;
  [[nodiscard]] std::string name() const;
};
[[nodiscard]] std::vector<MaestroRow> maestro_rows();

}  // namespace cosearch::testing
