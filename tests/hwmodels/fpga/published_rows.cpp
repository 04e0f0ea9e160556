#include "tests/hwmodels/fpga/published_rows.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace cosearch::testing {

std::vector<PublishedRow> m3vit_rows() {
  std::ifstream file(COSEARCH_SOURCE_DIR "/tests/data/m3vit.csv");
  std::vector<PublishedRow> rows;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) {
      cells.push_back(cell);
    }
    if (!line.starts_with("#") && cells.at(0) != "id") {
      rows.push_back({cells.at(2), cells.at(4), cells.at(5), cells.at(6), std::stod(cells.at(7))});
    }
  }
  return rows;
}

double m3vit_value(const std::string& table, const std::string& model, const std::string& data,
                   const std::string& metric) {
  std::vector<double> found;
  for (const PublishedRow& row : m3vit_rows()) {
    if (row.table == table && row.model == model && row.data == data && row.metric == metric) {
      found.push_back(row.value);
    }
  }
  EXPECT_EQ(found.size(), 1U) << table << ", " << model << ", " << data << ", " << metric;
  return found.empty() ? 0.0 : found.front();
}

}  // namespace cosearch::testing
