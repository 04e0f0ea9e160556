// Campaigns with networks that learn several tasks at once.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "experiments/evaluate/evaluator.hpp"
#include "experiments/evaluate/learning.hpp"
#include "experiments/export/c_design.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/graph/moe.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/run/session.hpp"
#include "trainer/multitask/quantized_tasks.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using namespace testing_support;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

TEST(SeveralTasks, ACampaignMeasuresEachTaskAndTheirGain) {
  const FinishedRun run(task_config());
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  CampaignData data = load_campaign_data(run.campaign_);
  Store store = Store::open_writer(run.path());
  ASSERT_TRUE(prepare_baselines(run.campaign_, space, data, store, [](const std::string&) {}, {}));
  const std::vector<double>& baselines = data[0].baselines;
  ASSERT_EQ(baselines.size(), 3U);
  EXPECT_EQ(baselines[2], 0.5);
  int measured = 0;
  for (const TrialRow& row : store.trials(run.id_)) {
    if (row.state != TrialState::complete) {
      continue;
    }
    ++measured;
    const Metrics& m = row.metrics;
    const double kind = m.at("accuracy_kind");
    const double edges = m.at("accuracy_edges");
    const double depth = m.at("rmse_depth");
    EXPECT_EQ(m.at("error_kind"), 1.0 - kind);
    EXPECT_NEAR(m.at("error"), (1.0 - kind + 1.0 - edges + depth) / 3.0, 1e-12);
    EXPECT_NEAR(
        m.at("delta_m"),
        ((kind - baselines[0]) / baselines[0] + (edges - baselines[1]) / baselines[1] - (depth - 0.5) / 0.5) / 3,
        1e-12);
    EXPECT_GT(m.at("train_loss"), 0.0);
  }
  EXPECT_EQ(measured, 4);
  const std::vector<FinalRow> finals = store.finals(run.id_);
  ASSERT_EQ(finals.size(), 1U);
  EXPECT_GT(finals[0].metrics.at("test_rmse_depth"), 0.0);
  EXPECT_NEAR(finals[0].metrics.at("test_accuracy"),
              1.0 - (1.0 - finals[0].metrics.at("test_accuracy_kind") + 1.0 -
                     finals[0].metrics.at("test_accuracy_edges") + finals[0].metrics.at("test_rmse_depth")) /
                        3.0,
              1e-12);
}

TEST(SeveralTasks, AreQuantisedEachWithRangesOfItsOwn) {
  json config = task_config();
  config["space"]["genes"]["moe"] = "all";
  config.erase("task_baseline");
  config["tasks"][0]["baseline"] = config["tasks"][1]["baseline"] = 0.5;
  config["target"] = {{"name", "cortex_m"}, {"genes", {{"board", "h743"}, {"engine", "cosearch"}}}};
  config["accuracy"]["quantize"] = {{"samples", 32}, {"fine_tune_epochs", 0.5}};
  config["budget"] = {{"evaluations", 3}, {"trainings", 2}};
  const FinishedRun run(config);
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const Store store = Store::open_reader(run.path());
  const FinalRow final = store.finals(run.id_).at(0);
  const std::vector<TrialRow> rows = store.trials(run.id_);
  const JointSpace space(run.campaign_, "");
  const graph::NetworkGraph network = space.decode(rows.at(static_cast<std::size_t>(final.trial)).genome).front();
  const std::vector<LearningTask> tasks = load_campaign_data(run.campaign_).front().tasks;
  WeightStore weights = make_task_weights(network, 0);
  std::map<std::string, std::string> metadata;
  const auto tensors = read_safetensors(final.weights_file, &metadata);
  for (const auto& [name, tensor] : tensors) {
    weights.at(name).values = tensor.values;
  }
  std::vector<std::vector<quantize::ValueRange>> ranges;
  for (std::size_t task = 0; task < tasks.size(); ++task) {
    ranges.push_back(quantize::task_ranges_from_json(json::parse(metadata.at("ranges")), task, tasks.size()));
  }
  EXPECT_NE(ranges[0], ranges[1]);
  const std::vector<TaskScore> scores = quantize::quantized_scores(network, tasks, &TaskData::test, weights, ranges);
  EXPECT_EQ(final.metrics.at("test_accuracy_kind"), scores[0].value);
  EXPECT_EQ(final.metrics.at("test_accuracy_edges"), scores[1].value);
  EXPECT_EQ(final.metrics.at("test_rmse_depth"), scores[2].value);
  // What is exported are these integers.
  Design design;
  design.networks = {network};
  design.network_names = {""};
  design.task_names = {{"kind", "edges", "depth"}};
  design.weights_path = final.weights_file;
  design.data = [&run] { return load_campaign_data(run.campaign_); };
  const std::vector<DesignSource> sources = c_sources(design, false, false);
  ASSERT_EQ(sources.size(), tasks.size());
  for (std::size_t task = 0; task < tasks.size(); ++task) {
    EXPECT_EQ(sources[task].source.ranges, ranges[task]);
  }
}

TEST(SeveralTasks, CostsAreThoseOfAllTasksOneAfterTheOther) {
  json config = task_config();
  config["accuracy"] = {{"kind", "none"}};
  config["objectives"] = {"latency_ms", "params"};
  config.erase("final");
  config.erase("task_baseline");
  config["budget"].erase("trainings");
  const FinishedRun run(config);
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  int by_task = 0;
  for (const TrialRow& row : run.trials()) {
    const graph::NetworkGraph network = space.decode(row.genome).front();
    const auto model = space.target().build(space.hardware_part(row.genome));
    ASSERT_TRUE(model.has_value());
    by_task += graph::routes_by_task(network) ? 1 : 0;
    double latency = 0.0;
    std::set<std::string> names;
    double params = 0.0;
    for (int task = 0; task < 3; ++task) {
      const graph::NetworkGraph part = graph::task_network(network, task);
      latency += model.value()->evaluate(std::vector<Job>{{part}})->metrics.at("latency_ms");
      for (const graph::WeightSpec& weight : graph::weights(part)) {
        params += names.insert(weight.name).second ? static_cast<double>(weight.elements()) : 0.0;
      }
    }
    if (graph::routes_by_task(network)) {  // otherwise the trunk runs once
      EXPECT_NEAR(row.metrics.at("latency_ms"), latency, 1e-9 * latency);
    }
    EXPECT_EQ(row.metrics.at("params"), params);
  }
  EXPECT_GT(by_task, 0);
}

/// How many accuracies a file has cached: those of networks and of baselines that were trained.
int cached_accuracies(const std::string& path) {
  sqlite3* database = nullptr;
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_prepare_v2(database, "SELECT count(*) FROM accuracy_cache", -1, &statement, nullptr), SQLITE_OK);
  EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
  const int count = sqlite3_column_int(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return count;
}

TEST(SeveralTasks, CostOnlyCampaignsNeedNoBaselinesAndTrainNothing) {
  EXPECT_GE(cached_accuracies(FinishedRun(task_config()).path()), 2) << "two baselines, and networks";
  json config = task_config();
  config["accuracy"] = {{"kind", "none"}};
  config["objectives"] = {"latency_ms", "params"};
  config.erase("final");
  config["budget"].erase("trainings");
  const FinishedRun run(config);
  EXPECT_EQ(run.outcome, RunOutcome::finished);
  EXPECT_EQ(cached_accuracies(run.path()), 0);
  // Not even the images are needed.
  const TemporaryFolder folder;
  Store store = Store::open_writer(folder.file("runs.db"));
  const std::int64_t id =
      store.create_campaign(run.campaign_.name, run.campaign_.resolved, "0", run.campaign_.evaluations).id;
  RunOptions options;
  options.quiet = true;
  EXPECT_EQ(run_campaign(run.campaign_, {}, store, id, options, {}), RunOutcome::finished);
  EXPECT_EQ(store.trials(id).size(), 6U);
}

TEST(SeveralTasks, TheirMetricsCanBeAskedFor) {
  const FinishedRun run(task_config());
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const auto query = [&](const std::string& columns) {
    return run_cosearch(
        {"query", "--sort", "rmse_depth", "--columns", columns, "--db", run.path(), "--format", "json"});
  };
  const ProcessResult found = query("all");
  ASSERT_EQ(found.exit_code, 0) << found.err;
  EXPECT_TRUE(json::parse(found.out).at("trials")[0].contains("accuracy_kind"));
  const ProcessResult unknown = query("id,accuracy_depth");  // it predicts numbers
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("\"accuracy_depth\" is not known"));
}

TEST(SeveralTasks, TheResolvedConfigIsTheSameCampaign) {
  const Campaign campaign = campaign_from_json(task_config());
  EXPECT_EQ(campaign_from_json(campaign.resolved).resolved, campaign.resolved);
  EXPECT_EQ(campaign.objectives[0].direction, Direction::maximize);
}

TEST(SeveralTasks, TheSameImagesAreOneMatterOfAllTasks) {
  const auto message = [](const json& config) -> std::string {
    try {
      static_cast<void>(load_campaign_data(campaign_from_json(config)));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_EQ(message(task_config()), "");
  json config = task_config();
  config["tasks"] = json::array();
  EXPECT_THAT(message(config), HasSubstr("/tasks"));
  EXPECT_THAT(message(config), HasSubstr("1 to 16 tasks"));
  config = task_config();
  config["tasks"][1]["dataset"]["seed"] = 7;
  EXPECT_THAT(message(config), HasSubstr("other images than task \"kind\""));
  config["tasks"][1]["dataset"]["size"] = 24;
  EXPECT_THAT(message(config), HasSubstr("/tasks/1/dataset"));
  EXPECT_THAT(message(config), HasSubstr("share their images"));
  config = task_config();
  config["tasks"][1].erase("dataset");
  EXPECT_THAT(message(config), HasSubstr("/tasks/1/dataset"));
  config = task_config();
  config["tasks"][1]["name"] = "kind";
  EXPECT_THAT(message(config), HasSubstr("each name once"));
  config = task_config();
  config["tasks"][0]["class_weights"] = {1, 2};
  EXPECT_THAT(message(config), HasSubstr("a list of 4 numbers"));
  config = task_config();
  config["dataset"] = config["tasks"][0]["dataset"];
  EXPECT_THAT(message(config), HasSubstr("belongs to each of \"tasks\""));
  config = task_config();
  config = task_config();
  config["space"] = {{"name", "vit"}};
  config.erase("task_baseline");
  EXPECT_THAT(message(config), HasSubstr("the networks of vit have 1 output; 3 tasks need one each"));
  config = task_config();
  config["task_baseline"] = {{"moe", "nobody"}};
  EXPECT_THAT(message(config), HasSubstr("/task_baseline/moe"));
  config = task_config();
  config["objectives"] = {"rmse_kind", "latency_ms"};
  EXPECT_THAT(message(config), HasSubstr("rmse_kind"));
}

}  // namespace
}  // namespace cosearch
