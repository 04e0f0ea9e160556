// Campaigns with several networks beside one hardware.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "experiments/evaluate/evaluator.hpp"
#include "experiments/evaluate/supernets.hpp"
#include "tests/experiments/run/session.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

/// What a network learns by a recipe, from nothing but the trainer.
double trained_accuracy(const Evaluator& evaluator, const graph::NetworkGraph& network, const TaskData& data,
                        const TrainOptions& recipe) {
  WeightStore weights = WeightStore::for_network(network, evaluator.training_seed(network));
  return train(network, data, data.search, recipe, evaluator.training_seed(network), weights, {}, {}, {})->accuracy;
}

TEST(SeveralNetworks, EachLearnsItsTaskAndTheAccuracyIsTheWeightedMean) {
  Session run(two_network_config());
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  const CampaignData data = load_campaign_data(run.campaign_);
  Store store = Store::open_writer(run.path());
  const Evaluator evaluator(run.campaign_, space, data, store);
  std::size_t checked = 0;
  for (const TrialRow& row : run.trials()) {
    if (row.state != TrialState::complete) {
      continue;
    }
    const double digits = row.metrics.at("accuracy_digits");
    const double shapes = row.metrics.at("accuracy_shapes");
    EXPECT_DOUBLE_EQ(row.metrics.at("accuracy"), 0.75 * digits + 0.25 * shapes);
    EXPECT_DOUBLE_EQ(row.metrics.at("error"), 0.75 * (1.0 - digits) + 0.25 * (1.0 - shapes));
    EXPECT_DOUBLE_EQ(row.metrics.at("train_loss"),
                     0.75 * row.metrics.at("train_loss_digits") + 0.25 * row.metrics.at("train_loss_shapes"));
    EXPECT_EQ(row.metrics.at("error_shapes"), 1.0 - shapes);
    if (++checked <= 2) {
      const std::vector<graph::NetworkGraph> networks = space.decode(row.genome);
      EXPECT_EQ(digits, trained_accuracy(evaluator, networks[0], *data[0].data, run.campaign_.networks[0].train));
      EXPECT_EQ(shapes, trained_accuracy(evaluator, networks[1], *data[1].data, run.campaign_.networks[1].train));
    }
  }
  EXPECT_GE(checked, 2U);
}

TEST(SeveralNetworks, CostsAreThoseOfAllNetworksOneAfterTheOther) {
  json config = two_network_config();
  for (json& network : config.at("networks")) {
    network["accuracy"] = {{"kind", "none"}};
    network.erase("final");
  }
  config.erase("screen");
  config.erase("final");
  config["budget"].erase("trainings");
  config["objectives"] = {"latency_ms", "params"};
  config["search"] = {{"algorithm", "random"}};
  for (const char* target : {"roofline", "maestro"}) {
    config["target"] = {{"name", target}};
    Session run(config);
    ASSERT_EQ(run.go(), RunOutcome::finished);
    const JointSpace space(run.campaign_, "");
    const std::vector<TrialRow> rows = run.trials();
    ASSERT_EQ(rows.size(), 32U);
    for (const TrialRow& row : rows) {
      ASSERT_EQ(row.state, TrialState::complete) << row.reason;
      const auto model = space.target().build(space.hardware_part(row.genome));
      double latency = 0.0;
      double params = 0.0;
      double macs = 0.0;
      for (const graph::NetworkGraph& network : space.decode(row.genome)) {
        const Job job{network};
        latency += (*model)->evaluate({&job, 1})->metrics.at("latency_ms");
        params += static_cast<double>(graph::total_counts(network).parameters);
        macs += static_cast<double>(graph::total_counts(network).macs);
      }
      EXPECT_NEAR(row.metrics.at("latency_ms"), latency, 1e-9 * latency);
      EXPECT_EQ(row.metrics.at("params"), params);
      EXPECT_EQ(row.metrics.at("macs"), macs);
      EXPECT_FALSE(row.metrics.contains("accuracy"));
    }
  }
}

TEST(SeveralNetworks, AreTrainedOnceEachWithinTheirBudget) {
  for (const bool screened : {true, false}) {
    json config = two_network_config();
    if (!screened) {
      config.erase("screen");
    }
    Session run(config);
    ASSERT_EQ(run.go(), RunOutcome::finished);
    // Accuracies by network: one value each, however many candidates share it.
    std::vector<std::map<std::string, std::set<double>>> accuracies(2);
    std::set<std::string> together;
    const JointSpace space(run.campaign_, "");
    for (const TrialRow& row : run.trials()) {
      if (!row.metrics.contains("error")) {
        continue;
      }
      together.insert(row.network_hash);
      const std::vector<graph::NetworkGraph> networks = space.decode(row.genome);
      accuracies[0][graph::to_json(networks[0]).dump()].insert(row.metrics.at("accuracy_digits"));
      accuracies[1][graph::to_json(networks[1]).dump()].insert(row.metrics.at("accuracy_shapes"));
    }
    const std::size_t trainings = accuracies[0].size() + accuracies[1].size();
    EXPECT_EQ(static_cast<std::int64_t>(trainings), count_trainings(run.trials()));
    EXPECT_LE(trainings, 12U);
    EXPECT_GE(trainings, screened ? 5U : 11U);
    EXPECT_GT(together.size(), 1U);
    for (const auto& of_network : accuracies) {
      for (const auto& [network, values] : of_network) {
        EXPECT_EQ(values.size(), 1U);
      }
    }
  }
}

TEST(SeveralNetworks, ScreenedCandidatesHaveAPredictionForEachNetwork) {
  json config = two_network_config();
  config["objectives"] = {"error_digits", "error_shapes", "latency_ms"};
  Session run(config);
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  Store store = Store::open_writer(run.path());
  const Evaluator evaluator(run.campaign_, space, load_campaign_data(run.campaign_), store);
  std::size_t predicted = 0;
  for (const TrialRow& row : run.trials()) {
    if (row.state != TrialState::screened || !row.metrics.contains("predicted_error")) {
      continue;
    }
    ++predicted;
    const double digits = row.metrics.at("predicted_error_digits");
    const double shapes = row.metrics.at("predicted_error_shapes");
    EXPECT_DOUBLE_EQ(row.metrics.at("predicted_error"), 0.75 * digits + 0.25 * shapes);
    EXPECT_EQ(evaluator.to_trial(row).objectives, (std::vector<double>{digits, shapes, row.metrics.at("latency_ms")}));
  }
  EXPECT_GT(predicted, 0U);
}

TEST(SeveralNetworks, NothingIsTrainedForCandidatesThatCostTooMuch) {
  json config = two_network_config();
  config["constraints"] = {{{"metric", "macs"}, {"max", 1000}}};
  Session run(config);
  EXPECT_EQ(run.go(), RunOutcome::no_feasible);
  EXPECT_EQ(count_trainings(run.trials()), 0);
}

TEST(SeveralNetworks, FailureNamesTheNetworkAndKeepsWhatTheOtherLearnt) {
  json config = two_network_config();
  config.erase("screen");
  config["networks"][1]["accuracy"]["learning_rate"] = 1e30;
  config["networks"][1]["final"]["learning_rate"] = 0.05;
  Session run(config);
  EXPECT_EQ(run.go(), RunOutcome::no_feasible);
  std::size_t failed = 0;
  for (const TrialRow& row : run.trials()) {
    if (row.state == TrialState::failed) {
      ++failed;
      EXPECT_EQ(row.reason.rfind("shapes: ", 0), 0U) << row.reason;
      EXPECT_TRUE(row.metrics.contains("accuracy_digits"));
      EXPECT_FALSE(row.metrics.contains("accuracy_shapes"));
      EXPECT_FALSE(row.metrics.contains("accuracy"));
    }
  }
  EXPECT_GT(failed, 0U);
  const json whole = run.results();
  Session stopped(config);
  for (int runs = 0; stopped.go_until(3) == RunOutcome::stopped; ++runs) {
    ASSERT_LT(runs, 40);
  }
  EXPECT_EQ(stopped.results(), whole);
}

TEST(SeveralNetworks, StoppedAnywhereAndResumedEqualsAnUninterruptedRunOnAnyThreads) {
  Session whole(two_network_config());
  ASSERT_EQ(whole.go(with_threads(1)), RunOutcome::finished);
  const json expected = whole.results();
  Session threads(two_network_config());
  ASSERT_EQ(threads.go(with_threads(4)), RunOutcome::finished);
  EXPECT_EQ(threads.results(), expected);
  for (std::size_t after = 1; after <= 31; after += 3) {
    Session run(two_network_config());
    static_cast<void>(run.go_until(after));
    EXPECT_EQ(run.go(), RunOutcome::finished);
    ASSERT_EQ(run.results(), expected) << "stopped after " << after;
  }
}

TEST(SeveralNetworks, FinalWeightsOfAllNetworksAreOneFile) {
  Session run(two_network_config());
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  const CampaignData data = load_campaign_data(run.campaign_);
  const std::vector<TrialRow> rows = run.trials();
  const std::vector<FinalRow> finals = run.finals();
  ASSERT_EQ(finals.size(), 2U);
  for (const FinalRow& trained : finals) {
    const std::map<std::string, StoredTensor> tensors = read_safetensors(trained.weights_file);
    std::vector<double> tested;
    std::size_t used = 0;
    const auto networks = space.decode(rows.at(static_cast<std::size_t>(trained.trial)).genome);
    for (std::size_t i = 0; i < networks.size(); ++i) {
      WeightStore weights;
      for (const graph::WeightSpec& spec : graph::weights(networks[i])) {
        weights.insert({spec, tensors.at(run.campaign_.networks[i].name + "." + spec.name).values});
        ++used;
      }
      tested.push_back(evaluate_accuracy(networks[i], *data[i].data, data[i].data->test, weights));
    }
    EXPECT_EQ(used, tensors.size());
    EXPECT_EQ(trained.metrics.at("test_accuracy_digits"), tested[0]);
    EXPECT_EQ(trained.metrics.at("test_accuracy_shapes"), tested[1]);
    EXPECT_DOUBLE_EQ(trained.metrics.at("test_accuracy"), 0.75 * tested[0] + 0.25 * tested[1]);
  }
}

TEST(SeveralNetworks, EachIsScoredWithASupernetOfItsOwn) {
  json config = two_network_config();
  config.erase("screen");
  config["budget"].erase("trainings");
  for (json& network : config.at("networks")) {
    network["accuracy"].update({{"kind", "one_shot"}, {"random_subnets", 1}, {"calibration_samples", 32}});
  }
  config["networks"][0]["accuracy"]["supernets"] = {"stem.width"};
  config["final"]["initialise"] = "supernet";
  Session run(config);
  ASSERT_EQ(run.go(), RunOutcome::finished);
  const JointSpace space(run.campaign_, "");
  const CampaignData data = load_campaign_data(run.campaign_);
  Supernets supernets(run.campaign_, space, data);
  std::set<std::string> taken;
  Supernets::Events events;
  events.note = [&](const std::string& line) { taken.insert(line.substr(0, line.rfind(": "))); };
  events.training = [](const std::string& name, const TrainProgress&) { ADD_FAILURE() << name << " was not left"; };
  ASSERT_TRUE(supernets.prepare(run.path() + ".files", events, {}));
  EXPECT_EQ(taken.size(), 3U);
  EXPECT_TRUE(taken.contains("supernet shapes"));
  for (const TrialRow& row : run.trials()) {
    if (row.state != TrialState::complete) {
      continue;
    }
    const std::vector<graph::NetworkGraph> networks = space.decode(row.genome);
    for (std::size_t i = 0; i < networks.size(); ++i) {
      WeightStore weights = WeightStore::for_network(networks[i], 1);
      ASSERT_TRUE(supernets.scorer(i, row.genome).initialize(networks[i], weights));
      EXPECT_EQ(row.metrics.at("accuracy_" + run.campaign_.networks[i].name),
                evaluate_accuracy(networks[i], *data[i].data, data[i].data->search, weights));
    }
    EXPECT_DOUBLE_EQ(row.metrics.at("accuracy"),
                     0.75 * row.metrics.at("accuracy_digits") + 0.25 * row.metrics.at("accuracy_shapes"));
  }
  EXPECT_EQ(run.finals().size(), 2U);
}

}  // namespace
}  // namespace cosearch
