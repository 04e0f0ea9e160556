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
  /// MAESTRO's ResNet-50 mapping `rs_repo` names S twice on one level. With a 7 x 7 kernel its tile has a row of a
  /// kernel and a single column of the input: no output.
  [[nodiscard]] bool tile_without_output() const;
};
[[nodiscard]] std::vector<MaestroRow> maestro_rows();

}  // namespace cosearch::testing
