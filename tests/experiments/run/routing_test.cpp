// Campaigns whose costs follow from where trained routers send tokens.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "experiments/evaluate/evaluator.hpp"
#include "experiments/run/final_stage.hpp"
#include "spaces/graph/moe.hpp"
#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/run/session.hpp"
#include "trainer/moe/routing.hpp"
#include "trainer/multitask/train_tasks.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using namespace testing_support;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

json fpga_config() {
  json config = task_config();
  config["space"]["genes"]["moe"] = "all";
  config.erase("task_baseline");
  for (json& task : config["tasks"]) {
    task["baseline"] = 0.5;
  }
  config["target"] = {{"name", "moe_fpga"}, {"genes", {{"scheduling", "expert_by_expert"}, {"bits_per_cycle", 64}}}};
  config["budget"] = {{"evaluations", 24}, {"trainings", 4}};
  return config;
}

/// Every metric of the cost.
void expect_priced_by(const Metrics& metrics, const Expected<Cost, Infeasible>& cost) {
  ASSERT_TRUE(cost.has_value());
  for (const auto& [name, value] : cost->metrics) {
    EXPECT_EQ(metrics.at(name), value) << name;
  }
}

TEST(RoutedCosts, FinalCostsAreThoseOfTheTrainedRouters) {
  const FinishedRun run(fpga_config());
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  const CampaignData data = load_campaign_data(run.campaign_);
  Store store = Store::open_writer(run.path());
  const Evaluator evaluator(run.campaign_, space, data, store);
  const std::vector<FinalRow> finals = store.finals(run.id_);
  ASSERT_EQ(finals.size(), 1U);
  const TrialRow trial = store.trial(run.id_, finals[0].trial).value();
  const graph::NetworkGraph network = space.decode(trial.genome).front();
  std::vector<graph::WeightSpec> specs;
  const WeightStore shapes_of_weights = make_task_weights(network, 0);
  for (const auto& [name, weight] : shapes_of_weights.weights()) {
    specs.push_back(weight.spec);
  }
  const WeightStore weights = load_safetensors(finals[0].weights_file, specs);
  const TaskData& images = *data[0].images();
  const graph::Histograms routing = task_routing(network, images, images.search, weights);
  const Expected<Cost, Infeasible> cost = evaluator.explain(trial.genome, {routing});
  ASSERT_TRUE(cost.has_value());
  expect_priced_by(finals[0].metrics, cost);
  EXPECT_EQ(finals[0].metrics.at("params"), trial.metrics.at("params"));
  EXPECT_EQ(finals[0].routing, Routing{routing});
}

TEST(RoutedCosts, CostsOfTheSearchAreThoseOfTheRoutersThatItTrained) {
  json config = fpga_config();
  config.erase("final");
  const FinishedRun run(config);
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  Store store = Store::open_writer(run.path());
  const Evaluator evaluator(run.campaign_, space, {}, store);
  std::size_t trained = 0;
  std::size_t other = 0;
  for (const TrialRow& row : run.trials()) {
    const Expected<Cost, Infeasible> even = evaluator.explain(row.genome);
    if (row.state != TrialState::complete) {
      EXPECT_TRUE(row.routing.empty());
      if (row.state == TrialState::screened) {
        expect_priced_by(row.metrics, even);
      }
      continue;
    }
    ++trained;
    ASSERT_EQ(row.routing.size(), 1U);
    const graph::NetworkGraph network = space.decode(row.genome).front();
    EXPECT_EQ(graph::wrong_histogram(network, row.routing.front()), std::nullopt);
    expect_priced_by(row.metrics, evaluator.explain(row.genome, row.routing));
    other += even->metrics.at("latency_ms") != row.metrics.at("latency_ms") ? 1 : 0;
    // Objectives are what the search is told.
    EXPECT_EQ(evaluator.to_trial(row).objectives.back(), row.metrics.at("latency_ms"));
  }
  EXPECT_GE(trained, 4U);
  EXPECT_GT(other, 0U);
}

TEST(RoutedCosts, RoutingSurvivesStopsAndCachesAndDoesNotDependOnThreads) {
  json config = fpga_config();
  config["search"] = {{"algorithm", "nsga2"}, {"population", 8}};
  const FinishedRun whole(config);
  ASSERT_EQ(whole.outcome, RunOutcome::finished);
  const json expected = whole.results();
  Session stopped(config);
  while (stopped.go_until(5) == RunOutcome::stopped) {
  }
  EXPECT_EQ(stopped.results(), expected);
  Session threads(config);
  ASSERT_EQ(threads.go(with_threads(1)), RunOutcome::finished);
  EXPECT_EQ(threads.results(), expected);
  // The same campaign again in this database takes everything from its caches.
  config["name"] = "again";
  Store store = Store::open_writer(threads.path());
  const Campaign campaign = campaign_from_json(config);
  const std::int64_t id = store.create_campaign(campaign.name, campaign.resolved, "0", campaign.evaluations).id;
  RunOptions options;
  options.quiet = true;
  ASSERT_EQ(run_campaign(campaign, load_campaign_data(campaign), store, id, options, {}), RunOutcome::finished);
  EXPECT_EQ(results_of(store.trials(id)), expected.at("trials"));
}

TEST(RoutedCosts, RoutersThatNeedMoreThanIsAllowedMakeACandidateInfeasible) {
  const FinishedRun free(fpga_config());
  ASSERT_EQ(free.outcome, RunOutcome::finished);
  const JointSpace space(free.campaign_, "");
  Store store = Store::open_writer(free.path());
  const Evaluator evaluator(free.campaign_, space, {}, store);
  // Between the latency that was expected and the one that the routers of the slowest candidate lead to.
  double limit = 0.0;
  for (const TrialRow& row : store.trials(free.id_)) {
    if (row.state == TrialState::complete) {
      const double even = evaluator.explain(row.genome)->metrics.at("latency_ms");
      const double routed = row.metrics.at("latency_ms");
      limit = routed > even ? std::max(limit, (even + routed) / 2.0) : limit;
    }
  }
  ASSERT_GT(limit, 0.0);
  json config = fpga_config();
  config["constraints"] = {{{"metric", "latency_ms"}, {"max", limit}}};
  const FinishedRun run(config);
  std::size_t refused = 0;
  for (const TrialRow& row : run.trials()) {
    if (row.state == TrialState::infeasible && !row.routing.empty()) {
      ++refused;
      EXPECT_GT(row.metrics.at("latency_ms"), limit);
      EXPECT_LE(evaluator.explain(row.genome)->metrics.at("latency_ms"), limit);
      EXPECT_THAT(row.reason, HasSubstr("latency_ms"));
      EXPECT_GT(row.violation, 0.0);
      EXPECT_TRUE(row.metrics.contains("accuracy"));
    }
  }
  EXPECT_GT(refused, 0U);
}

TEST(RoutedCosts, ShownAndExportedDesignsHaveTheRouting) {
  const FinishedRun run(fpga_config());
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const FinalRow trained = run.finals().at(0);
  const std::string id = std::to_string(trained.trial);
  const ProcessResult shown = run_cosearch({"show", id, "--db", run.path(), "--format", "json"});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_EQ(json::parse(shown.out).at("routing").get<Routing>(), trained.routing);
  EXPECT_EQ(json::parse(shown.out).at("cost").at("metrics").at("latency_ms"), trained.metrics.at("latency_ms"));
  const ProcessResult text = run_cosearch({"show", id, "--db", run.path()});
  EXPECT_THAT(text.out, HasSubstr(trained.routing[0].begin()->first));
  const std::string folder = run.folder_.file("designs");
  const ProcessResult exported =
      run_cosearch({"export", "--id", id, "--format", "json", "--to", folder, "--db", run.path()});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const std::string file = fmt::format("{}/trial_{:06}.json", folder, trained.trial);
  const ProcessResult estimated = run_cosearch({"estimate", "--network", file, "--format", "json"});
  ASSERT_EQ(estimated.exit_code, 0) << estimated.err;
  for (const auto& [name, value] : json::parse(estimated.out).at("metrics").get<Metrics>()) {
    EXPECT_EQ(value, trained.metrics.at(name)) << name;
  }
}

TEST(RoutedCosts, AFinalTrainingOnOtherHardwareHasNoneOfTheFirstOnesCosts) {
  const FinishedRun run(fpga_config());
  ASSERT_EQ(run.outcome, RunOutcome::finished);
  const FinalRow trained = run.finals().at(0);
  std::vector<TrialRow> rows = run.trials();
  const TrialRow& best = rows.at(static_cast<std::size_t>(trained.trial));
  const JointSpace space(run.campaign_, "");
  Store store = Store::open_writer(run.path());
  const Evaluator evaluator(run.campaign_, space, {}, store);
  const auto with_hardware_of = [&](const TrialRow& other) {
    Genome genome = best.genome;
    const auto hardware = std::ssize(space.hardware_part(genome).genes);
    std::copy(other.genome.genes.end() - hardware, other.genome.genes.end(), genome.genes.end() - hardware);
    return genome;
  };
  // As if the front had moved to this network on hardware that cannot run it as its routers send tokens.
  const auto moved = std::find_if(rows.begin(), rows.end(), [&](const TrialRow& row) {
    return row.id != best.id && !evaluator.explain(with_hardware_of(row), trained.routing);
  });
  ASSERT_NE(moved, rows.end());
  const TrialId id = moved->id;
  const Genome genome = with_hardware_of(*moved);
  *moved = best;
  moved->id = id;
  moved->genome = genome;
  for (const Objective& objective : run.campaign_.objectives) {
    moved->metrics.at(objective.metric) += objective.direction == Direction::maximize ? 1.0 : -1.0;
  }
  moved->metrics.at("error") -= 1.0;
  ASSERT_TRUE(run_final_stage({run.campaign_, space, evaluator, store, run.id_}, rows, true, {}));
  const std::vector<FinalRow> finals = store.finals(run.id_);
  const auto copy = std::find_if(finals.begin(), finals.end(), [&](const FinalRow& row) { return row.trial == id; });
  ASSERT_NE(copy, finals.end());
  EXPECT_EQ(copy->metrics.at("test_accuracy"), trained.metrics.at("test_accuracy"));
  for (const std::string& cost : space.target().metric_names()) {
    EXPECT_FALSE(copy->metrics.contains(cost)) << cost;
  }
}

}  // namespace
}  // namespace cosearch
