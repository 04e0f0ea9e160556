// Campaigns that score candidates with a supernet's weights.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "experiments/config/json_file.hpp"
#include "experiments/evaluate/learning.hpp"
#include "experiments/evaluate/supernets.hpp"
#include "experiments/run/final_stage.hpp"
#include "experiments/run/runner.hpp"
#include "spaces/base/config_error.hpp"
#include "tests/experiments/tiny_campaign.hpp"
#include "trainer/multitask/train_tasks.hpp"
#include "trainer/supernet/gene_combinations.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

/// Campaigns in one database.
class Database {
 public:
  RunOutcome run(const json& config, int threads = 2) {
    const Campaign campaign = campaign_from_json(config);
    Store store = Store::open_writer(path());
    const std::int64_t id = store.create_campaign(campaign.name, campaign.resolved, "0", campaign.evaluations).id;
    return run_campaign(campaign, load_campaign_data(campaign), store, id, quiet(threads), {});
  }
  /// Stops after so many trials.
  RunOutcome run_until(const json& config, std::size_t trials) {
    const Campaign campaign = campaign_from_json(config);
    Store store = Store::open_writer(path());
    const std::int64_t id = store.create_campaign(campaign.name, campaign.resolved, "0", campaign.evaluations).id;
    std::stop_source stop;
    std::size_t finished = 0;
    RunOptions options = quiet(2);
    options.finished = [&](const TrialRow&) {
      if (++finished == trials) {
        stop.request_stop();
      }
    };
    return run_campaign(campaign, load_campaign_data(campaign), store, id, options, stop.get_token());
  }
  RunOutcome resume(const json& config) {
    const Campaign campaign = campaign_from_json(config);
    Store store = Store::open_writer(path());
    return run_campaign(campaign, load_campaign_data(campaign), store, 1, quiet(1), {});
  }
  [[nodiscard]] std::string path() const { return folder_.file("runs.db"); }
  [[nodiscard]] json results(const std::string& name) const {
    const Store store = Store::open_reader(path());
    const std::int64_t id = store.campaign(name).id;
    json finals = json::array();
    for (const FinalRow& row : store.finals(id)) {
      finals.push_back({{"trial", row.trial}, {"metrics", row.metrics}});
    }
    return {{"trials", results_of(store.trials(id))}, {"finals", finals}};
  }
  [[nodiscard]] std::vector<std::filesystem::path> supernets() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(path() + ".files")) {
      if (entry.path().filename().string().starts_with("supernet-")) {
        files.push_back(entry.path());
      }
    }
    return files;
  }

 private:
  [[nodiscard]] static RunOptions quiet(int threads) {
    RunOptions options;
    options.threads = threads;
    options.quiet = true;
    return options;
  }
  TemporaryFolder folder_;
};

json named(json config, const std::string& name) {
  config["name"] = name;
  return config;
}

TEST(OneShotRun, ScoresEveryFeasibleCandidateWithTheSupernetsWeights) {
  Database database;
  json config = one_shot_config();
  config["final"]["initialise"] = "supernet";
  ASSERT_EQ(database.run(config), RunOutcome::finished);
  const Campaign campaign = campaign_from_json(config);
  const JointSpace space(campaign, "");
  const CampaignData sets = load_campaign_data(campaign);
  const TaskData& data = *sets.front().data;
  Supernets supernets(campaign, space, sets);
  bool trained = false;
  Supernets::Events events;
  events.note = [](const std::string&) {};
  events.training = [&](const std::string&, const TrainProgress&) { trained = true; };
  ASSERT_TRUE(supernets.prepare(database.path() + ".files", events, {}));
  EXPECT_FALSE(trained) << "the run has left it";
  std::size_t scored = 0;
  for (const TrialRow& row : Store::open_reader(database.path()).trials(1)) {
    EXPECT_EQ(row.fidelity.kind, FidelityKind::one_shot);
    if (row.state != TrialState::complete) {
      continue;
    }
    ++scored;
    const graph::NetworkGraph network = space.decode(row.genome).front();
    WeightStore weights = WeightStore::for_network(network, 1);
    ASSERT_TRUE(supernets.scorer(0, row.genome).initialize(network, weights));
    EXPECT_EQ(row.metrics.at("accuracy"), evaluate_accuracy(network, data, data.search, weights));
    EXPECT_EQ(row.metrics.count("train_loss"), 0U);
  }
  EXPECT_GE(scored, 16U);
  const std::size_t finals = select_finals(campaign, Store::open_reader(database.path()).trials(1)).size();
  EXPECT_GE(finals, 1U);
  EXPECT_EQ(database.results("tiny").at("finals").size(), finals);
}

TEST(OneShotRun, OtherCampaignsTakeTheSupernetAndTheScores) {
  Database database;
  ASSERT_EQ(database.run(one_shot_config()), RunOutcome::finished);
  ASSERT_EQ(database.supernets().size(), 1U);
  const auto written = std::filesystem::last_write_time(database.supernets().front());
  ASSERT_EQ(database.run(named(one_shot_config(), "again"), 1), RunOutcome::finished);
  ASSERT_EQ(database.supernets().size(), 1U);
  EXPECT_EQ(std::filesystem::last_write_time(database.supernets().front()), written);
  EXPECT_EQ(database.results("again"), database.results("tiny"));
  json longer = named(one_shot_config(), "longer");
  longer["accuracy"]["epochs"] = 3;
  ASSERT_EQ(database.run(longer), RunOutcome::finished);
  EXPECT_EQ(database.supernets().size(), 2U);
  EXPECT_NE(database.results("longer").at("trials"), database.results("tiny").at("trials"));
}

TEST(OneShotRun, ADamagedSupernetIsTrainedAgain) {
  Database database;
  ASSERT_EQ(database.run(one_shot_config()), RunOutcome::finished);
  const std::string path = database.supernets().front().string();
  const auto content = [&] {
    std::ifstream file(path, std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  };
  const std::string whole = content();
  std::string damaged = whole;
  damaged[damaged.size() - 9] = static_cast<char>(damaged[damaged.size() - 9] ^ 1);
  for (const std::string& bytes : {damaged, whole.substr(0, whole.size() / 2), std::string("x")}) {
    std::ofstream(path, std::ios::binary) << bytes;
    json config = named(one_shot_config(), "n" + std::to_string(bytes.size()));
    config["final"]["initialise"] = "supernet";
    ASSERT_EQ(database.run(config), RunOutcome::finished);
    EXPECT_TRUE(content() == whole);
  }
}

TEST(OneShotRun, EachCombinationHasItsSupernetAndLaterOnesInherit) {
  Database database;
  json config = one_shot_config();
  config["accuracy"]["supernets"] = {"stages.1.kernel"};
  ASSERT_EQ(database.run(config), RunOutcome::finished);
  EXPECT_EQ(database.supernets().size(), 2U);
  // The second one begins with weights of the first, so another first one makes another second one.
  config["name"] = "restricted";
  config["space"]["genes"]["stages.1.kernel"] = 5;
  ASSERT_EQ(database.run(config), RunOutcome::finished);
  EXPECT_EQ(database.supernets().size(), 3U);
}

const std::vector<std::string> kWalkGenes{"patch", "rank_attn", "rank_mlp"};

/// The campaign that is shipped, on synthetic images, with small networks and a short walk; 2 x 4 x 4 combinations.
json walk_config() {
  json config = read_json_file(COSEARCH_SOURCE_DIR "/experiments/configs/mcuformer.json");
  config["name"] = "tiny";
  config["dataset"] = one_shot_config().at("dataset");
  config["dataset"].update({{"height", 28}, {"width", 28}});
  config["space"]["genes"].update({{"patch", {7, 10}},
                                   {"rank_attn", {0.3, 0.5, 0.7, 0.9}},
                                   {"rank_mlp", {0.3, 0.5, 0.7, 0.9}},
                                   {"embed_dim", {32, 48}},
                                   {"depth", 2}});
  config["accuracy"].update({{"epochs", 1}, {"train_samples", 0}, {"evaluate_samples", 0}, {"batch", 16}});
  config["search"].update({{"starts", 2}, {"steps", 1}, {"samples", 4}, {"population", 8}, {"parents", 4}});
  config["budget"] = {{"evaluations", 28}};
  config["final"]["epochs"] = 1;
  return config;
}

TEST(OneShotRun, LazySupernetsAreThoseThatTrialsNeeded) {
  Database database;
  const json config = walk_config();
  ASSERT_EQ(database.run(config), RunOutcome::finished);
  const JointSpace space(campaign_from_json(config), "");
  std::set<std::string> needed;
  std::size_t infeasible = 0;
  for (const TrialRow& row : Store::open_reader(database.path()).trials(1)) {
    infeasible += row.state == TrialState::infeasible ? 1U : 0U;
    if (row.state == TrialState::complete) {
      needed.insert(combination_key(space.params(), kWalkGenes, row.genome));
    }
  }
  EXPECT_GT(infeasible, 0U);
  EXPECT_GT(needed.size(), 1U);
  EXPECT_LT(needed.size(), 32U);
  EXPECT_EQ(database.supernets().size(), needed.size());
}

TEST(OneShotRun, LazySupernetsDoNotDependOnThreadsAndOnWhatAnotherRunLeft) {
  Database database;
  ASSERT_EQ(database.run(walk_config()), RunOutcome::finished);
  Database other;
  json fewer = named(walk_config(), "fewer");
  fewer["search"]["population"] = 4;
  fewer["budget"]["evaluations"] = 6;
  ASSERT_EQ(other.run(fewer), RunOutcome::finished);
  const std::size_t first = other.supernets().size();
  ASSERT_EQ(other.run(walk_config(), 1), RunOutcome::finished);
  EXPECT_EQ(other.results("tiny"), database.results("tiny"));
  EXPECT_EQ(other.supernets().size(), database.supernets().size());
  EXPECT_LT(first, database.supernets().size());
  // Scores that are cached need no supernet; one that the final stage begins with is made again, with those before it.
  for (const auto& file : other.supernets()) {
    std::filesystem::remove(file);
  }
  ASSERT_EQ(other.run(named(walk_config(), "again")), RunOutcome::finished);
  EXPECT_EQ(other.results("again"), database.results("tiny"));
  EXPECT_LE(other.supernets().size(), database.supernets().size());
}

TEST(OneShotRun, StoppedBetweenLazySupernetsGoesOnToTheSameResult) {
  Database whole;
  ASSERT_EQ(whole.run(walk_config()), RunOutcome::finished);
  for (const std::size_t trials : {3U, 9U, 20U}) {
    Database stopped;
    ASSERT_EQ(stopped.run_until(walk_config(), trials), RunOutcome::stopped);
    ASSERT_EQ(stopped.resume(walk_config()), RunOutcome::finished);
    EXPECT_EQ(stopped.results("tiny"), whole.results("tiny")) << trials;
    EXPECT_EQ(stopped.supernets().size(), whole.supernets().size());
  }
}

TEST(OneShotRun, ScoresEveryTaskAndBeginsTheFinalStageWithWhatWasScored) {
  Database database;
  const json config = one_shot_task_config();
  ASSERT_EQ(database.run(config), RunOutcome::finished);
  json scratch = named(config, "scratch");
  scratch["final"]["initialise"] = "scratch";
  ASSERT_EQ(database.run(scratch), RunOutcome::finished);
  EXPECT_EQ(database.results("scratch").at("trials"), database.results("tasks").at("trials"));
  EXPECT_NE(database.results("scratch").at("finals"), database.results("tasks").at("finals"));
  const Campaign campaign = campaign_from_json(config);
  const JointSpace space(campaign, "");
  CampaignData data = load_campaign_data(campaign);
  Store store = Store::open_writer(database.path());
  ASSERT_TRUE(prepare_baselines(campaign, space, data, store, [](const std::string&) {}, {}));
  Supernets supernets(campaign, space, data);
  ASSERT_TRUE(supernets.prepare(database.path() + ".files", {[](const std::string&) {}, {}}, {}));
  const Learning learning{campaign.networks.front(), data.front()};
  std::size_t scored = 0;
  for (const TrialRow& row : store.trials(1)) {
    if (row.state != TrialState::complete) {
      continue;
    }
    ++scored;
    const graph::NetworkGraph network = space.decode(row.genome).front();
    WeightStore weights = make_task_weights(network, 1);
    ASSERT_TRUE(supernets.scorer(0, row.genome).initialize(network, weights));
    const auto scores = evaluate_tasks(network, data.front().tasks, &TaskData::search, weights);
    for (const auto& [name, value] : score_metrics(learning, scores)) {
      EXPECT_EQ(row.metrics.at(name), value) << name;
    }
    EXPECT_EQ(row.metrics.count("train_loss"), 0U);
  }
  EXPECT_GE(scored, 3U);
  ASSERT_EQ(store.finals(1).size(), 1U);
  EXPECT_GT(store.finals(1).front().metrics.at("test_rmse_depth"), 0.0);
}

TEST(OneShotRun, OfTasksDoesNotDependOnThreadsAndGoesOnAfterAStop) {
  Database whole;
  ASSERT_EQ(whole.run(one_shot_task_config()), RunOutcome::finished);
  Database alone;
  ASSERT_EQ(alone.run(one_shot_task_config(), 1), RunOutcome::finished);
  EXPECT_EQ(alone.results("tasks"), whole.results("tasks"));
  Database stopped;
  ASSERT_EQ(stopped.run_until(one_shot_task_config(), 2), RunOutcome::stopped);
  ASSERT_EQ(stopped.resume(one_shot_task_config()), RunOutcome::finished);
  EXPECT_EQ(stopped.results("tasks"), whole.results("tasks"));
}

TEST(OneShotRun, OtherBaselinesCompareTheSameSupernetAnew) {
  Database database;
  json config = one_shot_task_config();
  config.erase("final");
  ASSERT_EQ(database.run(config), RunOutcome::finished);
  config["name"] = "harder";
  config["tasks"][2]["baseline"] = 0.25;
  ASSERT_EQ(database.run(config), RunOutcome::finished);
  EXPECT_EQ(database.supernets().size(), 1U);
  const Store store = Store::open_reader(database.path());
  const std::vector<TrialRow> before = store.trials(1);
  const std::vector<TrialRow> after = store.trials(2);
  ASSERT_EQ(before.size(), after.size());
  std::size_t compared = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].state == TrialState::complete) {
      ++compared;
      const double depth = before[i].metrics.at("rmse_depth");
      EXPECT_EQ(after[i].metrics.at("rmse_depth"), depth);
      // The gain of one task of three, which was relative to 0.5.
      EXPECT_NEAR(before[i].metrics.at("delta_m") - after[i].metrics.at("delta_m"), (depth / 0.25 - depth / 0.5) / 3.0,
                  1e-12);
    }
  }
  EXPECT_GE(compared, 3U);
}

std::string refusal(const json& config) {
  Database database;
  try {
    database.run(config);
  } catch (const ConfigError& error) {
    EXPECT_FALSE(std::filesystem::exists(database.path() + ".files")) << "trained what it refuses";
    return error.what();
  }
  return {};
}

TEST(OneShotRun, NumbersAreLearnedAsATask) {
  json config = one_shot_config();
  config["dataset"] = task_config().at("tasks")[2].at("dataset");
  config["space"] =
      json::parse(R"json({"name": "custom", "params": [{"name": "kernel", "choices": [3, 5]}], "template": [
    {"name": "head", "op": "conv2d", "out_channels": "$classes", "kernel_h": "$kernel", "kernel_w": "$kernel",
     "padding": "same", "bias": true}]})json");
  config["target"] = {{"name", "roofline"}};
  config["search"] = {{"algorithm", "random"}};
  EXPECT_NE(refusal(config).find("list it under \"tasks\""), std::string::npos) << refusal(config);
}

TEST(OneShotRun, ListedTasksNeedNetworksWithoutBatchNorms) {
  json config = one_shot_config();
  config["tasks"] = {{{"name", "kind"}, {"dataset", config.at("dataset")}, {"baseline", 0.5}}};
  config.erase("dataset");
  EXPECT_NE(refusal(config).find("batch norms"), std::string::npos) << refusal(config);
}

}  // namespace
}  // namespace cosearch
