#include "tests/hwmodels/asic/maestro/reference_rows.hpp"

#include <fstream>
#include <sstream>

namespace cosearch::testing {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) {
    cells.push_back(cell);
  }
  return cells;
}

}  // namespace

std::int64_t MaestroRow::integer(const std::string& column) const { return std::stoll(columns.at(column)); }

std::string MaestroRow::name() const {
  return columns.at("layer") + " " + mapping + " " + columns.at("num_pes") + " PEs, bandwidth " + columns.at("noc_bw");
}

std::vector<MaestroRow> maestro_rows() {
  std::ifstream file(COSEARCH_SOURCE_DIR "/tests/data/maestro_resnet50.csv");
  std::vector<std::string> names;
  std::vector<MaestroRow> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) {
      continue;
    }
    const std::vector<std::string> cells = split(line);
    if (names.empty()) {
      names = cells;
      continue;
    }
    MaestroRow row;
    for (std::size_t i = 0; i < names.size(); ++i) {
      row.columns[names[i]] = cells.at(i);
    }
    const maestro::Kernel kernel{row.integer("dim_R"), row.integer("dim_S")};
    const maestro::Plane input{row.integer("dim_Y"), row.integer("dim_X")};
    const maestro::Plane stride{row.integer("stride_y"), row.integer("stride_x")};
    row.layer = row.columns.at("type") == "DSCONV"
                    ? maestro::depthwise(row.integer("dim_C"), kernel, input, stride)
                    : maestro::convolution(row.integer("dim_K"), row.integer("dim_C"), kernel, input, stride);
    row.mapping = row.columns.at("mapping");
    row.hardware = {row.integer("num_pes"), row.integer("noc_bw"), row.integer("offchip_bw")};
    rows.push_back(row);
  }
  return rows;
}

}  // namespace cosearch::testing
