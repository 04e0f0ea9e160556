#include "trainer/multitask/delta_m.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace cosearch {
namespace {

/// Results of methods by metric.
using Rows = std::map<std::string, std::map<std::string, double>>;

Rows read_rows() {
  std::ifstream file(COSEARCH_SOURCE_DIR "/tests/data/m3vit_tables.csv");
  Rows rows;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') {
      continue;
    }
    std::istringstream fields(line);
    std::string table;
    std::string method;
    std::string metric;
    std::string value;
    std::getline(fields, table, ',');
    std::getline(fields, method, ',');
    std::getline(fields, metric, ',');
    std::getline(fields, value, ',');
    rows[table + "/" + method][metric] = std::stod(value);
  }
  return rows;
}

bool lower_is_better(const std::string& metric) { return metric == "normals_mErr" || metric == "depth_rmse"; }

// Published: tables 1 and 2 of the M3ViT paper. Its metrics have three digits, so Delta_m in percent is good to a few
// hundredths.
TEST(DeltaM, IsThatOfThePublishedTables) {
  const Rows rows = read_rows();
  int compared = 0;
  for (const auto& [name, metrics] : rows) {
    const std::string table = name.substr(0, name.find('/'));
    const std::map<std::string, double>& baseline = rows.at(table + "/STL-B");
    std::vector<TaskScore> scores;
    std::vector<double> baselines;
    for (const auto& [metric, value] : metrics) {
      if (metric != "delta_m") {
        scores.push_back({value, lower_is_better(metric)});
        baselines.push_back(baseline.at(metric));
      }
    }
    EXPECT_NEAR(100.0 * delta_m(scores, baselines), metrics.at("delta_m"), 0.12) << name;
    ++compared;
  }
  EXPECT_GE(compared, 10);
}

TEST(DeltaM, IsThatOfItsDefinition) {
  const std::vector<TaskScore> scores{{0.9, false}, {0.5, true}};
  const std::vector<double> baselines{0.75, 0.4};
  EXPECT_NEAR(delta_m(scores, baselines), (0.15 / 0.75 - 0.1 / 0.4) / 2.0, 1e-12);
  EXPECT_DOUBLE_EQ(delta_m(std::vector<TaskScore>{{0.4, true}}, std::vector<double>{0.4}), 0.0);
}

}  // namespace
}  // namespace cosearch
