#include "experiments/run/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <set>

#include "experiments/evaluate/evaluator.hpp"
#include "experiments/run/final_stage.hpp"
#include "tests/experiments/run/session.hpp"
#include "trainer/quantize/quantized_training.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

void execute(const Session& run, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(run.path().c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
  ASSERT_EQ(sqlite3_close(database), SQLITE_OK);
}

StoreError replay_error(Session& run) {
  try {
    static_cast<void>(run.go());
  } catch (const StoreError& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {0, ""};
}

TEST(Runner, CampaignEndsWithItsBudgetAFrontAndTestedWeights) {
  Session run(train_config());
  EXPECT_EQ(run.go(), RunOutcome::finished);
  const Store store = run.reader();
  EXPECT_EQ(store.campaign("tiny").state, CampaignState::finished);
  const std::vector<TrialRow> rows = store.trials(run.id_);
  ASSERT_EQ(rows.size(), 32U);
  std::set<std::vector<double>> genomes;
  for (const TrialRow& row : rows) {
    EXPECT_FALSE(row.pending);
    EXPECT_EQ(row.batch, row.id / 8);
    genomes.insert(row.genome.genes);
  }
  EXPECT_EQ(genomes.size(), rows.size());
  EXPECT_LE(count_trainings(rows), 14);
  const std::vector<FinalRow> finals = store.finals(run.id_);
  std::vector<TrialId> chosen;
  for (const TrialRow& row : select_finals(run.campaign_, rows)) {
    chosen.push_back(row.id);
  }
  std::sort(chosen.begin(), chosen.end());
  ASSERT_EQ(finals.size(), chosen.size());
  const JointSpace space(run.campaign_, "");
  const TaskData data = *load_campaign_data(run.campaign_).front().data;
  for (std::size_t i = 0; i < finals.size(); ++i) {
    EXPECT_EQ(finals[i].trial, chosen[i]);
    const Genome& genome = rows[static_cast<std::size_t>(chosen[i])].genome;
    const graph::NetworkGraph network = space.decode(genome).front();
    std::map<std::string, std::string> metadata;
    const WeightStore weights = load_safetensors(finals[i].weights_file, network, &metadata);
    EXPECT_EQ(metadata.at("trial"), std::to_string(chosen[i]));
    EXPECT_EQ(evaluate_accuracy(network, data, data.test, weights), finals[i].metrics.at("test_accuracy"));
    EXPECT_EQ(evaluate_accuracy(network, data, data.search, weights), finals[i].metrics.at("accuracy"));
  }
  for (const auto& file : std::filesystem::directory_iterator(store.files_directory())) {
    EXPECT_EQ(file.path().extension(), ".safetensors") << "only weights stay behind";
  }
}

TEST(Runner, CampaignStoppedAnywhereAndResumedEqualsAnUninterruptedOne) {
  Session whole(train_config());
  ASSERT_EQ(whole.go(), RunOutcome::finished);
  const json expected = whole.results();
  for (std::size_t after = 1; after <= 31; ++after) {
    Session run(train_config());
    const RunOutcome first = run.go_until(after);
    if (first == RunOutcome::stopped) {
      EXPECT_EQ(run.reader().campaign("tiny").state, CampaignState::stopped);
    }
    EXPECT_EQ(run.go(), RunOutcome::finished);
    ASSERT_EQ(run.results(), expected) << "stopped after " << after;
  }
}

json quantized_config() {
  json config = train_config();
  config["accuracy"]["quantize"] = {{"samples", 64}, {"fine_tune_epochs", 0.5}};
  return config;
}

TEST(Runner, QuantizedCampaignsKeepWhatTheIntegersNeed) {
  Session run(quantized_config());
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const Store store = run.reader();
  const std::vector<FinalRow> finals = store.finals(run.id_);
  ASSERT_FALSE(finals.empty());
  const std::vector<TrialRow> rows = store.trials(run.id_);
  const JointSpace space(run.campaign_, "");
  const TaskData data = *load_campaign_data(run.campaign_).front().data;
  for (const FinalRow& final : finals) {
    const graph::NetworkGraph network = space.decode(rows[static_cast<std::size_t>(final.trial)].genome).front();
    std::map<std::string, std::string> metadata;
    const WeightStore weights = load_safetensors(final.weights_file, network, &metadata);
    const quantize::QuantizedNetwork integers =
        quantize::quantize(network, weights, quantize::ranges_from_json(json::parse(metadata.at("ranges"))));
    EXPECT_EQ(quantize::quantized_accuracy(integers, data, data.test), final.metrics.at("test_accuracy"));
    EXPECT_EQ(quantize::quantized_accuracy(integers, data, data.search), final.metrics.at("accuracy"));
  }
  for (const auto& file : std::filesystem::directory_iterator(store.files_directory())) {
    EXPECT_EQ(file.path().extension(), ".safetensors") << "only weights stay behind";
  }
}

TEST(Runner, QuantizedCampaignStoppedAndResumedEqualsAnUninterruptedOne) {
  Session whole(quantized_config());
  ASSERT_EQ(whole.go(), RunOutcome::finished);
  for (const std::size_t after : {5U, 31U}) {
    Session run(quantized_config());
    static_cast<void>(run.go_until(after));
    EXPECT_EQ(run.go(), RunOutcome::finished);
    EXPECT_EQ(run.results(), whole.results()) << "stopped after " << after;
  }
}

TEST(Runner, EpisodesOfReinforceShareANetworkAndGoOnAfterAStop) {
  json config = train_config();
  config.erase("screen");
  config.erase("final");
  config["search"] = {{"algorithm", "reinforce"}, {"hardware_steps", 3}};
  Session whole(config);
  ASSERT_EQ(whole.go(), RunOutcome::finished);
  const std::vector<TrialRow> rows = whole.trials();
  ASSERT_EQ(rows.size(), 32U);
  std::set<std::string> networks;
  for (const TrialRow& row : rows) {
    EXPECT_EQ(row.batch, row.id / 4);
    EXPECT_EQ(row.network_hash, rows[static_cast<std::size_t>(row.batch * 4)].network_hash);
    networks.insert(row.network_hash);
  }
  EXPECT_GT(networks.size(), 3U);
  EXPECT_LE(static_cast<std::size_t>(count_trainings(rows)), networks.size());
  for (const std::size_t after : {1U, 4U, 6U, 19U}) {
    Session run(config);
    EXPECT_EQ(run.go_until(after), RunOutcome::stopped);
    EXPECT_EQ(run.go(), RunOutcome::finished);
    EXPECT_EQ(results_of(run.trials()), results_of(rows)) << "stopped after " << after;
  }
}

TEST(Runner, NetworksThatClassifyPixelsAreSearched) {
  json config = train_config();
  config.erase("screen");
  config["dataset"] = {{"name", "cells"}, {"size", 16}, {"train", 64}, {"search", 32}, {"test", 32}};
  config["space"] = json::parse(R"json({"name": "custom",
    "params": [{"name": "width", "choices": [4, 8, 12]}, {"name": "kernel", "choices": [3, 5]}],
    "template": [
      {"name": "stem", "op": "conv2d", "out_channels": "$width", "kernel_h": "$kernel", "kernel_w": "$kernel",
       "padding": "same"},
      {"name": "bn", "op": "batch_norm"},
      {"name": "act", "op": "activation", "kind": "relu"},
      {"name": "head", "op": "conv2d", "out_channels": "$classes", "kernel_h": 3, "kernel_w": 3, "padding": "same",
       "bias": true}]})json");
  config["target"] = {{"name", "roofline"}};
  config["accuracy"] = {{"epochs", 6}, {"batch", 16}, {"learning_rate", 0.1}};
  config["search"] = {{"algorithm", "reinforce"}, {"hardware_steps", 1}};
  config["budget"] = {{"evaluations", 6}};
  config["final"] = {{"top", 1}, {"epochs", 6}};
  Session run(config);
  ASSERT_EQ(run.go(), RunOutcome::finished);
  double best = 0.0;
  for (const TrialRow& row : run.trials()) {
    if (row.state == TrialState::complete) {
      best = std::max(best, row.metrics.at("accuracy"));
    }
  }
  EXPECT_GT(best, 0.3);  // everything taken for a cell has 0.2, nothing 0
  ASSERT_EQ(run.finals().size(), 1U);
  EXPECT_GT(run.finals()[0].metrics.at("test_accuracy"), 0.3);
}

TEST(Runner, CampaignStoppedAfterEveryFewTrialsStillArrives) {
  Session whole(train_config());
  ASSERT_EQ(whole.go(), RunOutcome::finished);
  Session run(train_config());
  int runs = 1;
  while (run.go_until(3) == RunOutcome::stopped) {
    ASSERT_LT(++runs, 40);
  }
  EXPECT_GT(runs, 3);
  EXPECT_EQ(run.results(), whole.results());
}

TEST(Runner, ResumedCampaignPaysNothingTwiceAndAFinishedOneNothingAtAll) {
  Session run(train_config());
  ASSERT_EQ(run.go(), RunOutcome::finished);
  std::size_t finished = 0;
  RunOptions options;
  options.finished = [&](const TrialRow&) { ++finished; };
  const json finals = run.results().at("finals");
  EXPECT_EQ(run.go(options), RunOutcome::finished);
  EXPECT_EQ(finished, 0U);
  EXPECT_EQ(run.results().at("finals"), finals);
}

TEST(Runner, ThreadsDoNotChangeResults) {
  std::vector<json> results;
  for (const int threads : {1, 2, 4}) {
    Session run(train_config());
    RunOptions options;
    options.threads = threads;
    ASSERT_EQ(run.go(options), RunOutcome::finished);
    results.push_back(run.results());
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Runner, LargerBudgetContinuesWhereTheCampaignEnded) {
  json config = train_config();
  config["budget"]["evaluations"] = 20;  // ends within a generation
  Session run(config);
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const json before = results_of(run.trials());
  ASSERT_EQ(before.size(), 20U);
  Store::open_writer(run.path()).set_evaluations(run.id_, 29);
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const json after = results_of(run.trials());
  ASSERT_EQ(after.size(), 29U);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  EXPECT_EQ(run.go(), RunOutcome::finished);  // and replays
}

TEST(Runner, OtherSeedsGenesAndIdsAreReplayMismatches) {
  {
    Session run(cost_config());
    ASSERT_EQ(run.go_until(20), RunOutcome::stopped);
    json config = cost_config();
    config["seed"] = 4;
    run.campaign_ = campaign_from_json(config);
    const StoreError error = replay_error(run);
    EXPECT_EQ(error.exit_code(), 6);
    EXPECT_THAT(error.what(), HasSubstr("trial 0 was stored as"));
    EXPECT_THAT(error.what(), HasSubstr("another name"));
  }
  {
    Session run(cost_config());
    ASSERT_EQ(run.go_until(20), RunOutcome::stopped);
    execute(run, "UPDATE trial_detail SET genome = (SELECT genome FROM trial_detail WHERE id = 3) WHERE id = 9");
    EXPECT_THAT(replay_error(run).what(), HasSubstr("trial 9 was stored as"));
  }
  {
    Session run(cost_config());
    ASSERT_EQ(run.go_until(20), RunOutcome::stopped);
    // A result that this program did not compute changes what it would propose next.
    execute(run, "UPDATE trial SET latency_ms = 1000 - latency_ms, energy_uj = 1e6 - energy_uj WHERE batch = 0");
    EXPECT_EQ(replay_error(run).exit_code(), 6);
  }
}

TEST(Runner, ExhaustedSpaceEndsTheCampaign) {
  json config = cost_config();
  config["space"]["genes"] = {{"resolution", 8},        {"stages.0.depth", {0}}, {"stages.1.depth", {1}},
                              {"stages.1.kernel", 3},   {"stages.1.width", 16},  {"stages.2.depth", {0}},
                              {"stages.1.expansion", 1}};
  config["target"]["genes"] = {{"board", "f746"}};
  config["budget"]["evaluations"] = 1000;
  Session run(config);
  const JointSpace space(run.campaign_, "");
  const std::int64_t size = space.params().count().value();
  ASSERT_LT(size, 1000);
  EXPECT_EQ(run.go(), RunOutcome::finished);
  EXPECT_EQ(static_cast<std::int64_t>(run.trials().size()), size);
}

TEST(Runner, WithoutAPredictorTheSearchEndsWithItsTrainings) {
  json config = train_config();
  config.erase("screen");
  config["budget"]["trainings"] = 6;
  Session run(config);
  EXPECT_EQ(run.go(), RunOutcome::finished);
  EXPECT_EQ(count_trainings(run.trials()), 6);
  EXPECT_EQ(run.trials().size(), 8U);
  EXPECT_EQ(run.go(), RunOutcome::finished);
}

TEST(Runner, UnsatisfiableCampaignSaysWhichConstraintStoppedMostAndByHowMuch) {
  json config = cost_config();
  config["constraints"] = {{{"metric", "macs"}, {"max", 1000}}};
  Session run(config);
  EXPECT_EQ(run.go(), RunOutcome::no_feasible);
  const std::vector<TrialRow> rows = run.trials();
  const auto nearest = std::min_element(rows.begin(), rows.end(),
                                        [](const TrialRow& a, const TrialRow& b) { return a.violation < b.violation; });
  const std::string text = explain_infeasibility(run.reader(), run.id_);
  EXPECT_THAT(text, HasSubstr("none of 32 candidates is feasible: macs stopped 32 of them"));
  EXPECT_THAT(text, HasSubstr("(trial " + std::to_string(nearest->id) + ")"));
  EXPECT_THAT(text, HasSubstr("at most 1000 is allowed"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(Runner, CampaignWhoseTrainingsAllFailHasNoFeasibleCandidate) {
  json config = train_config();
  config["accuracy"]["learning_rate"] = 1e30;
  config["final"]["learning_rate"] = 0.05;
  config["budget"]["trainings"] = 4;
  Session run(config);
  EXPECT_EQ(run.go(), RunOutcome::no_feasible);
  const std::vector<TrialRow> rows = run.trials();
  EXPECT_EQ(count_trainings(rows), 4);
  const auto failed =
      std::count_if(rows.begin(), rows.end(), [](const TrialRow& row) { return row.state == TrialState::failed; });
  EXPECT_EQ(explain_infeasibility(run.reader(), run.id_),
            "none of 32 candidates was measured: the training of " + std::to_string(failed) + " failed");
}

TEST(Runner, DivergingFinalTrainingIsLeftOut) {
  json config = train_config();
  config["final"]["learning_rate"] = 1e30;
  Session run(config);
  EXPECT_EQ(run.go(), RunOutcome::finished);
  EXPECT_TRUE(run.finals().empty());
  EXPECT_EQ(run.go(), RunOutcome::finished);
}

TEST(Runner, FinalNetworkOnOtherHardwareKeepsItsWeights) {
  Session run(train_config());
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const std::vector<FinalRow> before = run.finals();
  ASSERT_FALSE(before.empty());
  // As if the same network had been on the front with another board when it was trained.
  const std::vector<TrialRow> rows = run.trials();
  const std::string trial = std::to_string(before[0].trial);
  const auto other = std::find_if(rows.begin(), rows.end(), [&](const TrialRow& row) {
    return std::none_of(before.begin(), before.end(), [&](const FinalRow& entry) { return entry.trial == row.id; });
  });
  execute(run, "UPDATE final SET trial = " + std::to_string(other->id) + " WHERE trial = " + trial +
                   "; UPDATE trial_detail SET network_hash = (SELECT network_hash FROM trial_detail WHERE id = " +
                   trial + ") WHERE id = " + std::to_string(other->id));
  const auto written = std::filesystem::last_write_time(before[0].weights_file);
  EXPECT_EQ(run.go(), RunOutcome::finished);
  const std::vector<FinalRow> after = run.finals();
  ASSERT_EQ(after.size(), before.size() + 1);
  const auto again =
      std::find_if(after.begin(), after.end(), [&](const FinalRow& entry) { return entry.trial == before[0].trial; });
  ASSERT_NE(again, after.end());
  EXPECT_EQ(again->metrics, before[0].metrics);
  EXPECT_EQ(again->weights_file, before[0].weights_file);
  EXPECT_EQ(std::filesystem::last_write_time(before[0].weights_file), written);
}

TEST(SelectFinals, TakesDifferentNetworksOfTheFrontByError) {
  Campaign campaign;
  campaign.objectives = {{"error", Direction::minimize}, {"latency_ms", Direction::minimize}};
  campaign.final_stage.top = 2;
  const auto row = [](TrialId id, double error, double latency, const char* network) {
    TrialRow result;
    result.id = id;
    result.pending = false;
    result.metrics = {{"error", error}, {"latency_ms", latency}};
    result.network_hash = network;
    return result;
  };
  std::vector<TrialRow> rows{row(0, 0.3, 1.0, "a"), row(1, 0.1, 9.0, "b"),   row(2, 0.1, 9.5, "c"),  // 2 is dominated
                             row(3, 0.2, 5.0, "a"), row(4, 0.05, 20.0, "d"), row(5, 0.2, 5.0, "e")};
  rows[4].state = TrialState::infeasible;
  std::vector<TrialRow> chosen = select_finals(campaign, rows);
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_EQ(chosen[0].id, 1);
  EXPECT_EQ(chosen[1].id, 3);
  campaign.final_stage.top = 9;
  EXPECT_EQ(select_finals(campaign, rows).size(), 2U);  // trial 0 has the network of trial 3, trial 5 equals it
}

}  // namespace
}  // namespace cosearch
