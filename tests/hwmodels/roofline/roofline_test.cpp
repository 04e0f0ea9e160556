#include "hwmodels/roofline/roofline.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "hwmodels/job_graph.hpp"
#include "hwmodels/layers.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using testing::config_error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Cost evaluate(const nlohmann::json& genes, const Job& job, const nlohmann::json& options = nlohmann::json::object()) {
  const auto target = make_roofline(options, "");
  const auto model = target->build(target->params().from_json(genes.is_null() ? nlohmann::json::object() : genes));
  auto cost = (*model)->evaluate(std::span(&job, 1));
  EXPECT_TRUE(cost.has_value());
  return *std::move(cost);
}

graph::NetworkGraph one_linear() {
  graph::Builder builder("net", {1000});
  builder.then("fc", graph::Linear{{500}, {}, false});
  return std::move(builder).finish();
}

TEST(Roofline, OneLinearLayerIsTheLargerOfComputeAndTraffic) {
  const Job job{one_linear()};
  // 500,000 MACs; 1000 + 500,000 + 500 bytes; at 100 MHz.
  const Cost slow_memory = evaluate({{"lanes", 64}, {"bandwidth_gb_s", 1}, {"frequency_mhz", 100}}, job);
  EXPECT_DOUBLE_EQ(slow_memory.metrics.at("traffic_bytes"), 501500.0);
  EXPECT_DOUBLE_EQ(slow_memory.metrics.at("latency_ms"), 0.5015);
  EXPECT_EQ(slow_memory.layers.at(0).bound, "dram_bandwidth");
  EXPECT_EQ(slow_memory.metrics.at("dram_gbps"), 1.0);
  const Cost slow_compute = evaluate({{"lanes", 4}, {"bandwidth_gb_s", 1}, {"frequency_mhz", 100}}, job);
  EXPECT_DOUBLE_EQ(slow_compute.metrics.at("latency_ms"), 1.25);
  EXPECT_DOUBLE_EQ(slow_compute.metrics.at("utilization"), 1.0);
  EXPECT_EQ(slow_compute.layers.at(0).bound, "compute");
  EXPECT_DOUBLE_EQ(slow_compute.metrics.at("dram_gbps"), 501500.0 / 1.25e-3 * 1e-9) << "less than there is";
  const Cost four_cores = evaluate({{"cores", 4}, {"lanes", 1}, {"bandwidth_gb_s", 1}, {"frequency_mhz", 100}}, job);
  EXPECT_DOUBLE_EQ(four_cores.metrics.at("latency_ms"), 1.25);
}

TEST(Roofline, TensorsInsideALayerNeverLeaveTheChip) {
  const Job job{testing::small_vit(28, 4, 64, 4, 1)};
  const Cost cost = evaluate({}, job);
  const auto attention = std::find_if(cost.layers.begin(), cost.layers.end(),
                                      [](const LayerCost& layer) { return layer.kind == "multi_head_attention"; });
  ASSERT_NE(attention, cost.layers.end());
  EXPECT_DOUBLE_EQ(attention->traffic_bytes, 49.0 * (3 * 64) + 49.0 * 64);  // qkv in, context out; no scores
}

TEST(Roofline, StridedReadsCountTheElementsThatAreTouched) {
  graph::Builder builder("net", {8, 8, 4});
  builder.then("conv", graph::Conv2d{2, 1, 1, 2, {}, 1, false});
  const Cost cost = evaluate({}, Job{std::move(builder).finish()});
  EXPECT_DOUBLE_EQ(cost.metrics.at("traffic_bytes"), 16 * 4 + 8 + 16 * 2);
}

TEST(Roofline, SaysThatBatchNormsAreFoldedOnlyWhereThereAreSome) {
  for (const Job& job : task_jobs({oracle::two_tasks()})) {
    EXPECT_EQ(evaluate({}, job).notes, std::vector<std::string>{}) << "nodes of other tasks are left out, that is all";
  }
  graph::Builder normed("normed", {8, 8, 3});
  normed.then("conv", graph::Conv2d{4, 3, 3, 1, {}, 1, false});
  normed.then("norm", graph::BatchNorm{});
  EXPECT_THAT(evaluate({}, {std::move(normed).finish()}).notes, ElementsAre(HasSubstr("folded")));
}

TEST(Roofline, EnergyNeedsATableAndIsTheSumOfItsParts) {
  const Job job{one_linear()};
  EXPECT_EQ(evaluate({}, job).metrics.count("energy_uj"), 0U);
  const Cost cost = evaluate({}, job, {{"energy_table", "energy_45nm"}, {"dram", "hbm2"}});
  // int8 multiply-accumulates at 0.3 pJ, HBM2 at 3.9 pJ per bit.
  EXPECT_NEAR(cost.metrics.at("energy_uj"), (500000 * 0.3 + 501500 * 8 * 3.9) * 1e-6, 1e-9);
  EXPECT_THAT(config_error_of([] {
                (void)make_roofline({{"dram", "hbm2"}}, "");
              }),
              ::testing::HasSubstr("/target/dram: means nothing without \"energy_table\""));
  EXPECT_THAT(config_error_of([] {
                (void)make_roofline({{"energy_table", "energy_45nm"}, {"dram", "hbm3"}}, "");
              }),
              ::testing::HasSubstr("\"hbm3\" is not known"));
  EXPECT_THAT(config_error_of([] {
                (void)make_roofline({{"energy_table", "energy_7nm"}}, "");
              }),
              ::testing::HasSubstr("did you mean \"energy_45nm\"?"));
}

TEST(Roofline, RepeatedNodesOfATrainingStepAreSeparateLayers) {
  Job job{testing::reference_network("ds_cnn")};
  job.phase = graph::Phase::training;
  const Cost cost = evaluate({}, job);
  std::vector<std::string> names;
  for (const LayerCost& layer : cost.layers) {
    names.push_back(layer.name);
  }
  EXPECT_THAT(names, ::testing::IsSupersetOf(
                         {"stem", "stem#2", "blocks.0.pointwise", "blocks.0.pointwise#2", "blocks.0.pointwise#3"}));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace cosearch
