// The model against the results of FuseMax's artifact (MICRO 2024), read from tests/data/fusemax_attention.csv.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "hwmodels/attention/designs.hpp"

namespace cosearch::attention {
namespace {

/// Metrics of one row: group, design, model and tokens.
using Key = std::tuple<std::string, std::string, std::string, std::int64_t>;
using Metrics = std::map<std::string, double>;

std::map<Key, Metrics> reference_rows() {
  std::ifstream file(COSEARCH_SOURCE_DIR "/tests/data/fusemax_attention.csv");
  std::map<Key, Metrics> rows;
  bool header = true;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) {
      continue;
    }
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) {
      cells.push_back(cell);
    }
    if (header) {
      header = false;
    } else if (cells.at(0) != "derived") {
      rows[{cells[0], cells[1], cells[2], std::stoll(cells[4])}][cells[5]] = std::stod(cells[7]);
    }
  }
  return rows;
}

class Reference : public ::testing::Test {
 protected:
  const AttentionData data_ = load_attention_data("");
  const PublishedDesigns published_ = load_published_designs(data_, "");
  const std::map<Key, Metrics> rows_ = reference_rows();

  [[nodiscard]] const TransformerModel& model(const std::string& name) const {
    for (const TransformerModel& each : published_.models) {
      if (each.name == name) {
        return each;
      }
    }
    ADD_FAILURE() << name;
    return published_.models.front();
  }

  [[nodiscard]] Design design(const DesignGenes& genes, std::int64_t head_dim) const {
    Expected<Design, Infeasible> built =
        build_design(genes, cascade_of(genes, head_dim, head_dim), {.timeloop_overflow = true}, data_, published_);
    // With what Timeloop's products of 64 bits add to the artifact's energies of long sequences.
    EXPECT_TRUE(built.has_value()) << genes.cascade << ": " << (built ? "" : built.error().reason);
    return *std::move(built);
  }

  [[nodiscard]] AttentionCost cost(const std::string& name, const TransformerModel& model, std::int64_t tokens) const {
    const DesignGenes& genes = published_.designs.at(name);
    const Design built = design(genes, model.head_dim);
    const Shape shape{published_.batch * model.heads, tokens, tokens, false};
    if (genes.fusion == Fusion::rows) {
      return built.evaluate(shape, published_.flat_mapping(built.profile(), model.head_dim, shape).value()).value();
    }
    return built.evaluate(shape).value();
  }
};

void expect_relative(double value, double expected, double tolerance, const std::string& what) {
  EXPECT_NEAR(value / expected, 1.0, tolerance) << what << ": " << value << ", published " << expected;
}

const std::map<std::string, std::string> kDesignOf{
    {"unfused", "unfused"}, {"flat", "flat"}, {"cascade", "cascade"}, {"arch", "architecture"}, {"binding", "binding"}};

TEST_F(Reference, LatencyTrafficAndUtilizationOfEveryRowAreTheArtifacts) {
  int checked = 0;
  for (const auto& [key, metrics] : rows_) {
    const auto& [group, config, name, tokens] = key;
    if (group != "attention") {
      continue;
    }
    const AttentionCost cost = this->cost(kDesignOf.at(config), model(name), tokens);
    // Above 64K tokens the traffic of the unfused baseline is what Timeloop's mapper found.
    const double tolerance = config == "unfused" && tokens > 65536 ? 0.005 : 1e-9;
    const std::string what = config + " " + name + " " + std::to_string(tokens) + " ";
    expect_relative(cost.traffic_bytes, metrics.at("traffic"), tolerance, what + "traffic");
    expect_relative(cost.seconds, metrics.at("latency"), tolerance, what + "latency");
    expect_relative(cost.array_utilization, metrics.at("util_2d"), tolerance, what + "utilization of the array");
    expect_relative(cost.lane_utilization, metrics.at("util_1d"), tolerance, what + "utilization of the lanes");
    expect_relative(cost.energy.total(), metrics.at("energy"), 1e-3, what + "energy");
    ++checked;
  }
  EXPECT_EQ(checked, 60);
}

TEST_F(Reference, WrappedReadsFollowTheProductOf64Bits) {
  EXPECT_EQ(wrapped_reads(1024.0, 4096.0), 0.0);
  const double tile = 2097152.0;                                      // 2^21
  EXPECT_EQ(wrapped_reads(8796093022208.0, tile), 8796093022208.0);   // 2^43: all of 2^64 is lost
  EXPECT_EQ(wrapped_reads(13194139533312.0, tile), 8796093022208.0);  // 3 * 2^42: a third is left
  EXPECT_EQ(wrapped_reads(4398046511104.0, tile), 0.0);               // 2^42
}

TEST_F(Reference, UtilizationByEinsumIsTheArtifacts) {
  const Metrics& row = rows_.at({"attention", "binding", "BERT", 4096});
  const TransformerModel& bert = model("BERT");
  const Design built = design(published_.designs.at("binding"), bert.head_dim);
  const Shape shape{published_.batch * bert.heads, 4096, 4096, false};
  const double cycles = built.evaluate(shape)->seconds * built.arch().frequency_hz;
  const std::vector<double> works = built.work_cycles(shape);
  const std::map<std::string, std::string> names{{"qk", "util_2d.QK"},
                                                 {"lm", "util_2d.LM"},
                                                 {"sln", "util_2d.SLN"},
                                                 {"sld", "util_2d.SLD"},
                                                 {"slnv", "util_2d.SLNV"}};
  for (const auto& [work, column] : names) {
    const auto index = static_cast<std::size_t>(built.profile().find_work(work));
    expect_relative(works[index] / cycles, row.at(column), 1e-9, work);
  }
}

TEST_F(Reference, LinearLayersAreTheArtifacts) {
  for (const auto& [key, metrics] : rows_) {
    const auto& [group, config, name, tokens] = key;
    if (group != "linear_layers") {
      continue;
    }
    const TransformerModel& shape = model(name);
    const Design built = design(published_.designs.at(config == "flat" ? "flat" : "binding"), shape.head_dim);
    const ProductCost cost = linear_layers(built, shape, published_.batch * tokens);
    const std::string what = "linear " + config + " " + name + " " + std::to_string(tokens) + " ";
    expect_relative(cost.seconds, metrics.at("latency"), 1e-9, what + "latency");
    expect_relative(cost.traffic_bytes, metrics.at("traffic"), 1e-9, what + "traffic");
    expect_relative(cost.energy.total(), metrics.at("energy"), 0.01, what + "energy");
  }
}

TEST_F(Reference, ArraysOfEverySizeOfTheParetoFrontAreTheArtifacts) {
  int checked = 0;
  for (const auto& [key, metrics] : rows_) {
    const auto& [group, config, name, tokens] = key;
    if (group != "pareto") {
      continue;
    }
    const std::int64_t size = std::stoll(config.substr(config.find('=') + 1));
    const std::int64_t head_dim = model(name).head_dim;
    const Shape shape{published_.batch * model(name).heads, tokens, tokens, false};
    const DesignGenes genes =
        with_array_size(published_.designs.at("binding"), size, head_dim, shape, data_, published_);
    const Design built = design(genes, head_dim);
    const AttentionCost cost = built.evaluate(shape).value();
    expect_relative(cost.traffic_bytes, metrics.at("traffic"), 1e-9, config + " traffic");
    expect_relative(cost.memory_seconds, metrics.at("mem_lat"), 1e-9, config + " memory");
    expect_relative(cost.array_cycles / genes.frequency_hz, metrics.at("comp_2d_lat"), 1e-9, config + " array");
    expect_relative(cost.lane_cycles / genes.frequency_hz, metrics.at("comp_1d_lat"), 1e-9, config + " lanes");
    expect_relative(cost.seconds, metrics.at("latency"), 1e-9, config + " latency");
    expect_relative(built.area_um2(), metrics.at("area"), 1e-4, config + " area");
    ++checked;
  }
  EXPECT_EQ(checked, 12);
}

}  // namespace
}  // namespace cosearch::attention
