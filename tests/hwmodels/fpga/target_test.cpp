#include "hwmodels/fpga/target.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "spaces/graph/moe.hpp"
#include "tests/hwmodels/temporary_data.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kTokens = 32, kWidth = 64, kExperts = 8, kTopK = 2, kHidden = 64;

/// One block of attention and a mixture, with an output for each of two tasks.
graph::NetworkGraph network() {
  graph::Builder builder("moe", {kTokens, kWidth});
  builder.then("qkv", graph::Linear{{3, 4, kWidth / 4}});
  builder.then("attention", graph::MultiHeadAttention{4});
  graph::MoeFfn moe;
  moe.experts = kExperts;
  moe.top_k = kTopK;
  moe.hidden = kHidden;
  moe.tasks = 2;
  const int trunk = builder.then("moe", moe);
  const int first = builder.add("head0", graph::Linear{{10}}, {trunk});
  const int second = builder.add("head1", graph::Linear{{3}}, {trunk});
  graph::NetworkGraph graph = std::move(builder).finish();
  graph.outputs = {first, second};
  return graph;
}

Job job_of_tasks(std::vector<int> tasks) {
  Job job{network()};
  job.types.activation = job.types.weight = ir::ElementType::int16;
  job.tasks = std::move(tasks);
  return job;
}

std::unique_ptr<const Model> model_of(const nlohmann::json& genes, const nlohmann::json& options = {}) {
  const auto target = make_target("moe_fpga", options.is_null() ? nlohmann::json::object() : options, "");
  return std::move(target->build(target->params().from_json(genes))).value();
}

Expected<Cost, Infeasible> evaluate(const Job& job, const nlohmann::json& genes = nlohmann::json::object()) {
  return model_of(genes)->evaluate(std::span(&job, 1));
}

double latency(const Job& job, const nlohmann::json& genes = nlohmann::json::object()) {
  return evaluate(job, genes).value().metrics.at("latency_ms");
}

double total_of(const std::vector<double>& counts) {
  double sum = 0.0;
  for (const double count : counts) {
    sum += count;
  }
  return sum;
}

TEST(MoeFpgaTarget, TwoTasksInTurnCostTheSum) {
  const double both = latency(job_of_tasks({0, 1}));
  EXPECT_DOUBLE_EQ(both, latency(job_of_tasks({0})) + latency(job_of_tasks({1})));
  EXPECT_DOUBLE_EQ(both, latency(job_of_tasks({}))) << "no tasks: all";
  EXPECT_DOUBLE_EQ(latency(job_of_tasks({0, 1, 0, 1})), 2.0 * both) << "and again";
  const Cost cost = evaluate(job_of_tasks({0, 1})).value();
  ASSERT_EQ(cost.layers.size(), 8U);
  EXPECT_EQ(cost.layers[2].name, "moe@0");
  EXPECT_EQ(cost.layers[6].name, "moe@1");
  const std::vector<Job> apart{job_of_tasks({0}), job_of_tasks({1})};
  const Cost two_jobs = model_of(nlohmann::json::object())->evaluate(apart).value();
  EXPECT_EQ(two_jobs.metrics, cost.metrics) << "the weights that tasks share, too, are there once";
}

TEST(MoeFpgaTarget, HistogramsOfEvidenceDecideTheQueues) {
  // 8,320 words load in 260 cycles, a token takes 32: eight tokens each are just about enough to hide a load.
  const nlohmann::json genes{{"part", "zcu104"}, {"bits_per_cycle", 512}};
  Job job = job_of_tasks({0});
  const double even = latency(job, genes);
  job.evidence.emplace();
  std::vector<double>& counts = job.evidence->histograms["moe.tokens"];
  counts.assign(kExperts, static_cast<double>(kTokens * kTopK) / kExperts);
  EXPECT_DOUBLE_EQ(latency(job, genes), even) << "what is assumed without evidence";
  counts = {25, 3, 3, 25, 2, 2, 2, 2};
  ASSERT_EQ(total_of(counts), kTokens * kTopK);
  EXPECT_GT(latency(job, genes), even);
  counts = {32, 32, 0, 0, 0, 0, 0, 0};  // two experts alone: six loads fewer
  EXPECT_LT(latency(job, genes), even);
  job.evidence->histograms["moe.tokens_1"] = {25, 3, 3, 25, 2, 2, 2, 2};
  job.tasks = {1};
  EXPECT_GT(latency(job, genes), even) << "the second task's own";
  job.evidence->histograms["moe.tokens_1"].back() = -1.0;
  EXPECT_FALSE(evaluate(job, genes).has_value());
  counts.pop_back();
  job.tasks = {0};
  const auto wrong = evaluate(job, genes);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().reason, HasSubstr("7 counts for 8 experts"));
}

TEST(MoeFpgaTarget, EachMechanismHelpsOrCostsNothing) {
  const Job job = job_of_tasks({0});
  const nlohmann::json slow{{"scheduling", "cache_less"}, {"softmax", "three_pass"}, {"gelu", "exact"},
                            {"linear", "per_kind"},       {"reordering", "off"},     {"token_buffer_kib", 16},
                            {"weight_buffer_kib", 64}};
  double previous = latency(job, slow);
  nlohmann::json genes = slow;
  for (const auto& [gene, value] : std::vector<std::pair<std::string, std::string>>{{"scheduling", "expert_by_expert"},
                                                                                    {"softmax", "single_pass"},
                                                                                    {"gelu", "table"},
                                                                                    {"linear", "unified"},
                                                                                    {"reordering", "on"}}) {
    genes[gene] = value;
    const double now = latency(job, genes);
    EXPECT_LT(now, previous) << gene;
    previous = now;
  }
}

TEST(MoeFpgaTarget, ItsBandwidthIsThatOfThePortAndLessOfItTakesLonger) {
  const Job job = job_of_tasks({0, 1});
  double previous = 0.0;
  for (const std::int64_t bits : {512, 256, 128, 64}) {
    nlohmann::json genes;
    genes["bits_per_cycle"] = bits;
    genes["frequency_mhz"] = 150;
    const Cost cost = evaluate(job, genes).value();
    EXPECT_EQ(cost.metrics.at("dram_gbps"), static_cast<double>(bits) * 150.0 / 8000.0) << "what a limit would say";
    EXPECT_GT(cost.metrics.at("latency_ms"), previous);
    previous = cost.metrics.at("latency_ms");
  }
}

TEST(MoeFpgaTarget, LayersAreTheNodesWithTheirMultiplications) {
  const Job job = job_of_tasks({1});
  const Cost cost = evaluate(job).value();
  const graph::NetworkGraph part = graph::task_network(network(), 1);
  const auto counts = graph::node_counts(part);
  ASSERT_EQ(cost.layers.size(), part.nodes.size() - 1);
  for (std::size_t i = 0; i < cost.layers.size(); ++i) {
    EXPECT_EQ(cost.layers[i].macs, counts[i + 1].macs) << cost.layers[i].name;
  }
  EXPECT_DOUBLE_EQ(cost.metrics.at("params"), static_cast<double>(graph::total_counts(part).parameters));
}

TEST(MoeFpgaTarget, EnergyIsPowerTimesLatencyAndSaysSo) {
  const Job job = job_of_tasks({0});
  const Cost zcu104 = evaluate(job, {{"part", "zcu104"}}).value();
  EXPECT_NEAR(zcu104.metrics.at("energy_uj"), 10.0 * 1e3 * zcu104.metrics.at("latency_ms"), 1e-6);
  EXPECT_THAT(zcu104.notes, ::testing::Contains(HasSubstr("energy is 10 W times the latency")));
  const nlohmann::json genes{{"part", "free"}};
  const Cost free = model_of(genes, {{"free_power_w", 3}})->evaluate(std::span(&job, 1)).value();
  EXPECT_DOUBLE_EQ(free.metrics.at("power_mw"), 3000.0);
}

TEST(MoeFpgaTarget, DesignsThatExceedTheirPartSayByHowMuch) {
  const Job job = job_of_tasks({0});
  const auto memory = evaluate(job, {{"part", "zcu104"}, {"weight_buffer_kib", 2048}, {"token_buffer_kib", 2048}});
  ASSERT_FALSE(memory.has_value());
  EXPECT_THAT(memory.error().reason, HasSubstr("zcu104: needs 6,"));
  EXPECT_EQ(memory.error().violations.at(0).name, "on_chip_bytes");
  const auto dsps = evaluate(job, {{"part", "zcu104"}, {"dsps", 2048}});
  ASSERT_FALSE(dsps.has_value());
  EXPECT_EQ(dsps.error().violations.at(0).name, "dsps");
  const auto bus = evaluate(job, {{"part", "zcu102"}, {"bits_per_cycle", 512}});
  ASSERT_FALSE(bus.has_value());
  EXPECT_THAT(bus.error().reason, HasSubstr("bytes per second of external memory"));
  EXPECT_TRUE(evaluate(job, {{"part", "free"}, {"bits_per_cycle", 512}}).has_value());
}

TEST(MoeFpgaTarget, ExpertsThatDoNotFitNameTheLayer) {
  graph::NetworkGraph large = network();
  std::get<graph::MoeFfn>(large.nodes[3].op).hidden = 2048;
  Job job{large};
  job.types.weight = ir::ElementType::int16;
  const auto refused = evaluate(job, {{"weight_buffer_kib", 256}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().reason, HasSubstr("moe: weights of an expert of"));
}

TEST(MoeFpgaTarget, DrawsItsExpertsAndOnlyThose) {
  const Job job = job_of_tasks({0, 1});
  EXPECT_THAT(model_of({{"part", "zcu104"}})->picture(std::span(&job, 1)), HasSubstr("moe, task 0: tokens"));
  const Job without{testing::small_vit(28, 7, 48, 3, 1)};
  EXPECT_TRUE(model_of({{"part", "zcu104"}})->picture(std::span(&without, 1)).empty());
  const auto texts = model_of({{"part", "zcu104"}})->explain(std::span(&job, 1));
  ASSERT_EQ(texts.size(), 8U);
  EXPECT_THAT(texts[2], HasSubstr("queue 0:8 1:8"));
}

}  // namespace
}  // namespace cosearch
