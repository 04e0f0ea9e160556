#include "hwmodels/asic/heterogeneous.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/layer_tasks.hpp"
#include "hwmodels/asic/maestro/target.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using testing::config_error_of;
using ::testing::HasSubstr;
using testing::reference_network;

const nlohmann::json kTwo{{"aic1.dataflow", "kcp_ws"}, {"aic1.pes", 1024}, {"aic1.bandwidth", 32},
                          {"aic2.dataflow", "yxp_os"}, {"aic2.pes", 512},  {"aic2.bandwidth", 32}};

Expected<Cost, Infeasible> evaluate(const nlohmann::json& genes, const std::vector<Job>& jobs,
                                    const nlohmann::json& options = nlohmann::json::object()) {
  const auto target = make_heterogeneous(options, "");
  const auto model = target->build(target->params().from_json(genes));
  if (!model) {
    return Unexpected{model.error()};
  }
  return (*model)->evaluate(jobs);
}

TEST(LayerTasks, ElementWiseLayersFollowTheLatestLayerThatTheyRead) {
  graph::Builder builder("net", {8, 8, 4});
  const auto first = builder.then("conv1", graph::Conv2d{4, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  builder.then("act1", graph::Activation{});
  builder.then("conv2", graph::Conv2d{4, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  builder.add("sum", graph::Add{}, {first, builder.last()});
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("classifier", graph::Linear{{10}, {}, true});
  const auto job = job_workload(Job{std::move(builder).finish()});
  ASSERT_TRUE(job.has_value());
  const asic::LayerTasks tasks = asic::layer_tasks(*job);
  const std::vector<EinsumRun> runs = einsum_runs(*job);
  std::map<std::string, std::string> follows;
  for (std::size_t layer = 0; layer < runs.size(); ++layer) {
    const int first_layer = tasks.first_layer[static_cast<std::size_t>(tasks.task_of[layer])];
    follows[runs[layer].name] = runs[static_cast<std::size_t>(first_layer)].name;
  }
  EXPECT_EQ(follows["act1"], "conv1");
  EXPECT_EQ(follows["sum"], "conv2");
  EXPECT_EQ(follows["classifier"], "classifier");
  ASSERT_GE(tasks.edges.size(), 2U);
  for (const schedule::Edge& edge : tasks.edges) {
    EXPECT_LT(edge.before, edge.after);
  }
}

TEST(Heterogeneous, OneSubAcceleratorCostsWhatItsModelSays) {
  const Job job{reference_network("resnet8")};
  const auto alone = evaluate(
      {{"aic1.dataflow", "kcp_ws"}, {"aic1.pes", 1024}, {"aic1.bandwidth", 32}, {"aic2.dataflow", "none"}}, {job});
  const auto target = make_maestro({{"frequency_mhz", 1000}}, "");
  const auto model =
      target->build(target->params().from_json({{"dataflow", "kcp_ws"}, {"pes", 1024}, {"noc_bandwidth", 32}}));
  ASSERT_TRUE(model.has_value());
  const auto expected = (*model)->evaluate(std::span(&job, 1));
  ASSERT_TRUE(alone && expected);
  for (const char* name : {"energy_uj", "area_mm2", "macs", "params"}) {
    EXPECT_NEAR(alone->metrics.at(name), expected->metrics.at(name), 1e-9 * expected->metrics.at(name)) << name;
  }
  // Tasks take whole cycles.
  EXPECT_NEAR(alone->metrics.at("cycles"), expected->metrics.at("cycles"),
              static_cast<double>(expected->layers.size()));
}

TEST(Heterogeneous, TwoSubAcceleratorsAreFasterThanEachAloneAndAreasAdd) {
  const std::vector<Job> jobs{Job{reference_network("resnet8")}, Job{reference_network("ds_cnn")}};
  nlohmann::json first = kTwo;
  first["aic2.dataflow"] = "none";
  first.erase("aic2.pes");
  first.erase("aic2.bandwidth");
  const nlohmann::json second{
      {"aic1.dataflow", "yxp_os"}, {"aic1.pes", 512}, {"aic1.bandwidth", 32}, {"aic2.dataflow", "none"}};
  const auto both = evaluate(kTwo, jobs);
  const auto one = evaluate(first, jobs);
  const auto other = evaluate(second, jobs);
  ASSERT_TRUE(both && one && other);
  EXPECT_LT(both->metrics.at("latency_ms"), one->metrics.at("latency_ms"));
  EXPECT_LT(both->metrics.at("latency_ms"), other->metrics.at("latency_ms"));
  EXPECT_NEAR(both->metrics.at("area_mm2"), one->metrics.at("area_mm2") + other->metrics.at("area_mm2"), 1e-6);
}

TEST(Heterogeneous, LooseDeadlinesSaveEnergyAndTightOnesTime) {
  const std::vector<Job> jobs{Job{reference_network("resnet8")}, Job{reference_network("ds_cnn")}};
  const auto fastest = evaluate(kTwo, jobs);
  ASSERT_TRUE(fastest.has_value());
  const auto cycles = static_cast<std::int64_t>(fastest->metrics.at("cycles"));
  const auto loose = evaluate(kTwo, jobs, {{"deadline_cycles", 100 * cycles}});
  const auto tight = evaluate(kTwo, jobs, {{"deadline_cycles", cycles + cycles / 10}});
  ASSERT_TRUE(loose && tight);
  EXPECT_LE(loose->metrics.at("energy_uj"), tight->metrics.at("energy_uj") * (1.0 + 1e-12));
  EXPECT_LE(tight->metrics.at("cycles"), static_cast<double>(cycles + cycles / 10));
  EXPECT_THAT(evaluate(kTwo, jobs, {{"deadline_cycles", 1}})->bound, HasSubstr("no schedule was found"));
}

TEST(Heterogeneous, NestsAreACostModelToo) {
  const Job job{reference_network("ds_cnn")};
  const nlohmann::json genes{{"aic1.dataflow", "weight_stationary"}, {"aic1.pes", 256}, {"aic1.bandwidth", 32},
                             {"aic2.dataflow", "output_stationary"}, {"aic2.pes", 128}, {"aic2.bandwidth", 32}};
  const nlohmann::json options{{"cost_model", "nest"}, {"mapper_evaluations", 200}};
  const auto target = make_heterogeneous(options, "");
  const auto model = target->build(target->params().from_json(genes));
  ASSERT_TRUE(model.has_value());
  const auto cost = (*model)->evaluate(std::span(&job, 1));
  ASSERT_TRUE(cost.has_value());
  EXPECT_LE(cost->metrics.at("utilization"), 1.0);
  EXPECT_THAT((*model)->picture(std::span(&job, 1)), HasSubstr("aic2 output_stationary 128"));
  const std::vector<std::string> texts = (*model)->explain(std::span(&job, 1));
  ASSERT_EQ(texts.size(), cost->layers.size());
  EXPECT_THAT(texts.front(), HasSubstr("on aic"));
  EXPECT_THAT(texts.back(), HasSubstr("makespan"));
}

/// MAESTRO's Y-R template lays the rows of a filter over neighbouring elements, of which there have to be as many.
TEST(Heterogeneous, ALayerThatFitsOneSubAcceleratorGoesThereAndOthersToBoth) {
  graph::Builder builder("net", {48, 48, 4});
  builder.then("left1", graph::Conv2d{4, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  builder.then("left2", graph::Conv2d{4, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  builder.then("tall", graph::Conv2d{4, 40, 1, 1, {}, 1, false});
  const std::vector<Job> jobs{Job{std::move(builder).finish()}, Job{reference_network("resnet8")}};
  const nlohmann::json genes{{"aic1.dataflow", "yrp_rs"}, {"aic1.pes", 32}, {"aic1.bandwidth", 32},
                             {"aic2.dataflow", "yxp_os"}, {"aic2.pes", 64}, {"aic2.bandwidth", 32}};
  const auto cost = evaluate(genes, jobs);
  ASSERT_TRUE(cost.has_value()) << cost.error().reason;
  std::set<std::string> places;
  for (const LayerCost& layer : cost->layers) {
    places.insert(layer.kind.substr(layer.kind.find(" on ")));
    EXPECT_TRUE(layer.name != "net/tall" || layer.kind == "conv2d on aic2 yxp_os 64") << layer.kind;
  }
  EXPECT_THAT(places, ::testing::ElementsAre(" on aic1 yrp_rs 32", " on aic2 yxp_os 64"));

  const auto alone = evaluate(
      {{"aic1.dataflow", "yrp_rs"}, {"aic1.pes", 32}, {"aic1.bandwidth", 32}, {"aic2.dataflow", "none"}}, jobs);
  ASSERT_FALSE(alone.has_value());
  EXPECT_THAT(alone.error().reason, ::testing::AllOf(HasSubstr("tall"), HasSubstr("aic1 yrp_rs 32")));
}

const nlohmann::json kNests{{"aic1.dataflow", "weight_stationary"}, {"aic1.pes", 256}, {"aic1.bandwidth", 32},
                            {"aic2.dataflow", "output_stationary"}, {"aic2.pes", 256}, {"aic2.bandwidth", 32}};

TEST(Heterogeneous, NoScheduleMovesMoreThanTheDramDelivers) {
  const std::vector<Job> jobs{Job{reference_network("resnet8")}, Job{reference_network("ds_cnn")}};
  const double gigabytes = 0.25;
  const nlohmann::json options{{"cost_model", "nest"}, {"mapper_evaluations", 200}, {"dram_gb_s", gigabytes}};
  for (const auto& [first, second] : {std::pair{1, 1}, {7, 1}, {2, 5}}) {
    nlohmann::json genes = kNests;
    genes["aic1.dram_share"] = first;
    genes["aic2.dram_share"] = second;
    const auto cost = evaluate(genes, jobs, options);
    ASSERT_TRUE(cost.has_value());
    const double least_ms = cost->metrics.at("traffic_bytes") / (gigabytes * 1e9) * 1e3;
    EXPECT_GE(cost->metrics.at("latency_ms"), least_ms * (1.0 - 1e-9)) << first << " : " << second;
  }
}

TEST(Heterogeneous, SharesAreThoseOfWhatIsThere) {
  const std::vector<Job> jobs{Job{reference_network("resnet8")}};
  const nlohmann::json options{{"cost_model", "nest"}, {"mapper_evaluations", 200}, {"dram_gb_s", 0.25}};
  nlohmann::json alone = kNests;
  for (const char* name : {"dataflow", "pes", "bandwidth"}) {
    alone.erase("aic2." + std::string(name));
  }
  alone["aic2.dataflow"] = "none";
  nlohmann::json whole = alone;
  whole["aic1.dram_share"] = 8;
  whole["aic1.buffer_share"] = 8;
  const auto one = evaluate(alone, jobs, options);
  const auto eight = evaluate(whole, jobs, options);
  ASSERT_TRUE(one && eight);
  EXPECT_EQ(one->metrics, eight->metrics) << "one sub-accelerator has all, whatever its share";
  // A layer that waits for its weights takes as long as its sub-accelerator's part of the bandwidth says.
  graph::Builder builder("net", {1024});
  builder.then("classifier", graph::Linear{{1024}, {}, false});
  const std::vector<Job> memory_bound{Job{std::move(builder).finish()}};
  nlohmann::json eight_of_nine = kNests;
  eight_of_nine["aic1.dram_share"] = 8;
  const auto all = evaluate(alone, memory_bound, options);
  const auto most = evaluate(eight_of_nine, memory_bound, options);
  ASSERT_TRUE(all && most);
  EXPECT_NEAR(most->metrics.at("latency_ms") / all->metrics.at("latency_ms"), 9.0 / 8.0, 0.01);
}

TEST(Heterogeneous, BandwidthsOfSubAcceleratorsAddUp) {
  const nlohmann::json options{{"cost_model", "nest"}, {"mapper_evaluations", 200}, {"dram_gb_s", 0.25}};
  const auto cost = evaluate(kNests, {Job{reference_network("resnet8")}, Job{reference_network("ds_cnn")}}, options);
  ASSERT_TRUE(cost.has_value());
  std::map<std::string, double> highest;
  for (const LayerCost& layer : cost->layers) {
    double& unit = highest[layer.kind.substr(layer.kind.find(" on "))];
    unit = std::max(unit, layer.parts.at("dram_gbps"));
  }
  ASSERT_EQ(highest.size(), 2U) << "both sub-accelerators have layers";
  EXPECT_NEAR(cost->metrics.at("dram_gbps"), highest.begin()->second + highest.rbegin()->second, 1e-12);
  EXPECT_LE(cost->metrics.at("dram_gbps"), 0.25 * (1.0 + 1e-9));
}

TEST(Heterogeneous, ASubAcceleratorPrefetchesExpertsOfItsOwnLayers) {
  graph::Builder builder("net", {64, 64});
  builder.then("moe", graph::MoeFfn{.experts = 4, .top_k = 1, .hidden = 128});
  Job job{std::move(builder).finish()};
  job.evidence = Evidence{{{"moe.tokens", {61, 1, 1, 1}}}};
  const auto layer = [&](bool prefetches) {
    const nlohmann::json options{
        {"cost_model", "nest"}, {"mapper_evaluations", 200}, {"dram_gb_s", 16}, {"expert_prefetch", prefetches}};
    return evaluate(kNests, {job}, options)->layers.at(0);
  };
  const LayerCost with = layer(true);
  const LayerCost without = layer(false);
  EXPECT_GT(with.parts.at("prefetched_bytes"), 0.0);
  EXPECT_LT(with.cycles, without.cycles);
  EXPECT_EQ(with.traffic_bytes, without.traffic_bytes);
}

TEST(Heterogeneous, BudgetsAndOptionsAreChecked) {
  const Job job{reference_network("ds_cnn")};
  nlohmann::json large = kTwo;
  large["aic1.pes"] = 4096;
  const auto cost = evaluate(large, {job});
  ASSERT_FALSE(cost.has_value());
  EXPECT_THAT(cost.error().reason, HasSubstr("4608 processing elements"));
  ASSERT_EQ(cost.error().violations.size(), 1U);
  EXPECT_EQ(cost.error().violations[0].name, "pes");
  const auto error_of = [](const nlohmann::json& options) {
    return config_error_of([&] { (void)make_heterogeneous(options, ""); });
  };
  EXPECT_THAT(error_of({{"sub_accelerators", 5}}), HasSubstr("/target/sub_accelerators"));
  EXPECT_THAT(error_of({{"cost_model", "timeloop"}}), HasSubstr("/target/cost_model: \"timeloop\" is not known"));
  EXPECT_THAT(error_of({{"deadline_cycles", 0}}), HasSubstr("/target/deadline_cycles"));
  EXPECT_THAT(error_of({{"cost_model", "nest"}, {"residency", true}}), HasSubstr("/target/residency: expected false"));
  EXPECT_THAT(error_of({{"buffer_kib", 64}}), HasSubstr("\"buffer_kib\" is not known"));  // MAESTRO's are as needed
}

}  // namespace
}  // namespace cosearch
