#include "experiments/evaluate/evaluator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "spaces/base/rng.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using namespace testing_support;  // NOLINT(google-build-using-namespace)

/// A campaign in a store of its own, with batches proposed by hand.
class Bench {
 public:
  explicit Bench(const json& config, const std::string& name = "runs.db")
      : campaign_(campaign_from_json(config)),
        space_(campaign_, ""),
        data_(load_campaign_data(campaign_)),
        store_(Store::open_writer(folder_.file(name))),
        id_(store_.create_campaign(campaign_.name, campaign_.resolved, "0", 100).id),
        evaluator_(campaign_, space_, data_, store_) {}

  /// Different designs; equal seeds give equal designs.
  std::vector<TrialRow> propose(std::size_t count, std::uint64_t seed = 1) {
    std::vector<Genome> genomes;
    for (std::uint64_t draw = 0; genomes.size() < count; ++draw) {
      RngStream rng(seed, Purpose::test, draw);
      const Genome genome = space_.params().sample(rng);
      if (std::find(genomes.begin(), genomes.end(), genome) == genomes.end()) {
        genomes.push_back(genome);
      }
    }
    return pending(genomes);
  }

  std::vector<TrialRow> pending(const std::vector<Genome>& genomes) {
    std::vector<TrialRow> rows;
    for (const Genome& genome : genomes) {
      TrialRow row;
      row.id = static_cast<TrialId>(history_.size() + rows.size());
      row.batch = batches_;
      row.genome = genome;
      row.genes = space_.params().to_json(genome);
      row.fidelity.kind = campaign_.accuracy == AccuracyKind::none ? FidelityKind::cost : FidelityKind::full;
      rows.push_back(row);
    }
    return rows;
  }

  /// Stores the batch as pending, then evaluates it.
  std::vector<TrialRow> evaluate(std::vector<TrialRow> batch) {
    store_.insert_pending(id_, batch);
    Evaluator::Events events;
    std::map<TrialId, bool> running;
    events.training = [&](TrialId id, const TrainProgress&) { trainings_.insert(id); };
    EXPECT_TRUE(evaluator_.evaluate(id_, history_, batch, events, {}));
    keep(batch);
    return batch;
  }

  void keep(const std::vector<TrialRow>& batch) {
    history_.insert(history_.end(), batch.begin(), batch.end());
    ++batches_;
  }

  TemporaryFolder folder_;
  Campaign campaign_;
  JointSpace space_;
  CampaignData data_;
  Store store_;
  std::int64_t id_;
  Evaluator evaluator_;
  std::vector<TrialRow> history_;
  std::int64_t batches_ = 0;
  std::set<TrialId> trainings_;  ///< that really ran
};

std::int64_t in_state(const std::vector<TrialRow>& rows, TrialState state) {
  return std::count_if(rows.begin(), rows.end(),
                       [state](const TrialRow& row) { return !row.pending && row.state == state; });
}

std::set<std::string> networks_in_state(const std::vector<TrialRow>& rows, TrialState state) {
  std::set<std::string> hashes;
  for (const TrialRow& row : rows) {
    if (row.state == state) {
      hashes.insert(row.network_hash);
    }
  }
  return hashes;
}

TEST(Evaluator, CostsOfABatchAreThoseOfTheModelAndAreStored) {
  Bench bench(cost_config());
  const std::vector<TrialRow> rows = bench.evaluate(bench.propose(12));
  EXPECT_EQ(results_of(bench.store_.trials(bench.id_)), results_of(rows));
  for (const TrialRow& row : rows) {
    ASSERT_EQ(row.state, TrialState::complete) << row.reason;
    const Expected<Cost, Infeasible> cost = bench.evaluator_.explain(row.genome);
    ASSERT_TRUE(cost.has_value());
    for (const auto& [name, value] : cost->metrics) {
      EXPECT_EQ(row.metrics.at(name), value) << name;
    }
    EXPECT_TRUE(row.metrics.contains("params"));
    const Trial trial = bench.evaluator_.to_trial(row);
    EXPECT_THAT(trial.objectives, testing::ElementsAre(row.metrics.at("latency_ms"), row.metrics.at("energy_uj")));
    EXPECT_EQ(trial.violation, 0.0);
  }
}

TEST(Evaluator, BrokenConstraintsAndCapacitiesMakeCandidatesInfeasibleWithTheirSum) {
  Bench free(cost_config());
  std::vector<double> latencies;
  for (const TrialRow& row : free.evaluate(free.propose(12))) {
    latencies.push_back(row.metrics.at("latency_ms"));
  }
  std::sort(latencies.begin(), latencies.end());
  const double most = latencies[6];
  json config = cost_config();
  config["constraints"] = {{{"metric", "latency_ms"}, {"max", most}}, {{"metric", "macs"}, {"max", 1.0}}};
  Bench bench(config);
  for (const TrialRow& row : bench.evaluate(bench.propose(12))) {
    ASSERT_EQ(row.state, TrialState::infeasible);
    const double macs = row.metrics.at("macs") - 1.0;
    const double latency = std::max(0.0, row.metrics.at("latency_ms") / most - 1.0);
    EXPECT_NEAR(row.violation, macs + latency, 1e-9 * row.violation);
    EXPECT_EQ(row.violated, "macs");
    EXPECT_NEAR(row.violated_by, macs, 1e-9 * macs);
    EXPECT_THAT(row.reason, HasSubstr("at most 1 is allowed"));
    EXPECT_EQ(bench.evaluator_.to_trial(row).violation, row.violation);
  }
}

TEST(Evaluator, MaximisedObjectivesAreNegated) {
  json config = cost_config();
  config["objectives"] = {"latency_ms", {{"metric", "sram_bytes"}, {"direction", "maximize"}}};
  Bench bench(config);
  const TrialRow row = bench.evaluate(bench.propose(1)).front();
  EXPECT_THAT(bench.evaluator_.to_trial(row).objectives,
              testing::ElementsAre(row.metrics.at("latency_ms"), -row.metrics.at("sram_bytes")));
}

/// One network on three boards.
std::vector<Genome> on_boards(Bench& bench) {
  const ParamSet& params = bench.space_.params();
  const json first = params.to_json(bench.propose(1).front().genome);
  std::vector<Genome> genomes;
  for (const char* board : {"f746", "h743", "l4r5"}) {
    json genes = first;
    genes["hw.board"] = board;
    for (const Param& param : params.params()) {  // what another board does not allow falls back to its first value
      if (param.name.starts_with("hw.") && param.name != "hw.board") {
        genes.erase(param.name);
      }
    }
    genomes.push_back(params.from_json(genes));
  }
  return genomes;
}

TEST(Evaluator, NetworkIsTrainedOnceThoughItMeetsSeveralBoards) {
  json config = train_config();
  config.erase("screen");
  Bench bench(config);
  const std::vector<Genome> genomes = on_boards(bench);
  const std::vector<TrialRow> rows = bench.evaluate(bench.pending(genomes));
  EXPECT_EQ(bench.trainings_.size(), 1U);
  EXPECT_EQ(count_trainings(rows), 1);
  EXPECT_EQ(rows[0].metrics.at("accuracy"), rows[2].metrics.at("accuracy"));
  EXPECT_NE(rows[0].hardware_hash, rows[1].hardware_hash);
  // Later batches take it from the history.
  Bench later(config);
  later.evaluate(later.pending({genomes[0]}));
  const TrialRow row = later.evaluate(later.pending({genomes[1]})).front();
  EXPECT_EQ(later.trainings_.size(), 1U);
  EXPECT_EQ(row.metrics, rows[1].metrics);
}

TEST(Evaluator, NetworkIsTrainedOnlyWhenSomeHardwareOfItsBatchMeetsTheConstraints) {
  // NASAIC's early pruning: without such hardware its accuracy cannot matter.
  json config = train_config();
  config.erase("screen");
  std::vector<double> latencies;
  {
    Bench bench(config);
    for (const TrialRow& row : bench.evaluate(bench.pending(on_boards(bench)))) {
      latencies.push_back(row.metrics.at("latency_ms"));
    }
  }
  std::sort(latencies.begin(), latencies.end());
  ASSERT_LT(latencies[0], latencies[1]);
  for (const auto& [limit, meeting] :
       {std::pair{0.5 * (latencies[0] + latencies[1]), 1U}, std::pair{0.5 * latencies[0], 0U}}) {
    config["constraints"] = {{{"metric", "latency_ms"}, {"max", limit}}};
    Bench bench(config);
    const std::vector<TrialRow> rows = bench.evaluate(bench.pending(on_boards(bench)));
    EXPECT_EQ(bench.trainings_.size(), meeting);
    EXPECT_EQ(in_state(rows, TrialState::complete), meeting);
    EXPECT_EQ(in_state(rows, TrialState::infeasible), 3 - meeting);
    for (const TrialRow& row : rows) {
      EXPECT_EQ(row.metrics.contains("accuracy"), row.state == TrialState::complete);
    }
  }
}

TEST(Evaluator, WarmUpAndShareOfTheRestAreTrained) {
  json config = train_config();
  config["budget"]["trainings"] = 0;
  Bench bench(config);
  const std::vector<TrialRow> first = bench.evaluate(bench.propose(16));
  const std::set<std::string> trained = networks_in_state(first, TrialState::complete);
  const std::set<std::string> skipped = networks_in_state(first, TrialState::screened);
  const std::size_t networks = trained.size() + skipped.size();
  ASSERT_GT(networks, 8U);
  EXPECT_EQ(trained.size(), 5 + static_cast<std::size_t>(std::ceil(0.4 * static_cast<double>(networks - 5))));
  for (const TrialRow& row : first) {
    if (row.state == TrialState::screened) {
      const double error = row.metrics.at("predicted_error");
      EXPECT_FALSE(row.metrics.contains("error"));
      EXPECT_THAT(row.reason, HasSubstr("screened: predicted error "));
      EXPECT_THAT(row.reason, HasSubstr(" of " + std::to_string(networks - 5)));
      EXPECT_THAT(bench.evaluator_.to_trial(row).objectives, testing::ElementsAre(error, row.metrics.at("latency_ms")));
    }
  }
  // The warm-up is over: of the next batch only the share is trained.
  const std::vector<TrialRow> second = bench.evaluate(bench.propose(16, 2));
  std::set<std::string> fresh = networks_in_state(second, TrialState::complete);
  std::erase_if(fresh, [&](const std::string& hash) { return trained.contains(hash); });
  const std::size_t all = fresh.size() + networks_in_state(second, TrialState::screened).size();
  EXPECT_EQ(fresh.size(), static_cast<std::size_t>(std::ceil(0.4 * static_cast<double>(all))));
}

TEST(Evaluator, TrainingsStayWithinTheirBudgetWithAndWithoutAPredictor) {
  for (const bool screened : {true, false}) {
    for (const std::int64_t budget : {1, 4, 7}) {
      json config = train_config();
      config["budget"]["trainings"] = budget;
      if (!screened) {
        config.erase("screen");
      }
      Bench bench(config);
      bench.evaluate(bench.propose(10));
      bench.evaluate(bench.propose(10, 2));
      EXPECT_EQ(count_trainings(bench.history_), budget);
      EXPECT_GT(in_state(bench.history_, TrialState::screened), 0);
      for (const TrialRow& row : bench.history_) {
        if (row.state == TrialState::screened && !screened) {
          EXPECT_THAT(row.reason, HasSubstr("the budget of " + std::to_string(budget) + " trainings is used up"));
          EXPECT_TRUE(bench.evaluator_.to_trial(row).objectives.empty());
          EXPECT_EQ(bench.evaluator_.to_trial(row).violation, INFINITY);
        }
      }
    }
  }
}

TEST(Evaluator, DecisionsDoNotDependOnWhatTheCachesHold) {
  json config = train_config();
  Bench cold(config);
  cold.evaluate(cold.propose(10));
  cold.evaluate(cold.propose(10, 2));
  ASSERT_FALSE(cold.trainings_.empty());

  // The same batches in another campaign of a store that has trained every one of their networks before.
  config.erase("screen");
  config["budget"]["trainings"] = 0;
  Bench warm(config);
  warm.evaluate(warm.propose(10));
  warm.evaluate(warm.propose(10, 2));
  warm.campaign_ = campaign_from_json(train_config());
  warm.id_ = warm.store_.create_campaign("again", json::object(), "0", 100).id;
  warm.history_.clear();
  warm.batches_ = 0;
  warm.trainings_.clear();
  warm.evaluate(warm.propose(10));
  warm.evaluate(warm.propose(10, 2));
  EXPECT_EQ(results_of(warm.history_), results_of(cold.history_));
  EXPECT_TRUE(warm.trainings_.empty());
  EXPECT_GT(warm.evaluator_.cache_use().hits, 0);
}

TEST(Evaluator, BatchInterruptedAnywhereGoesOnAsIfItHadNotBeen) {
  json config = train_config();
  Bench whole(config);
  whole.evaluate(whole.propose(8));
  whole.evaluate(whole.propose(8, 2));
  for (std::size_t after = 0; after <= 8; ++after) {
    Bench bench(config);
    bench.evaluate(bench.propose(8));
    std::vector<TrialRow> batch = bench.propose(8, 2);
    bench.store_.insert_pending(bench.id_, batch);
    std::stop_source stop;
    std::size_t finished = 0;
    Evaluator::Events events;
    events.finished = [&](const TrialRow&) {
      if (++finished == after) {
        stop.request_stop();
      }
    };
    if (after == 0) {
      stop.request_stop();
    }
    const bool done = bench.evaluator_.evaluate(bench.id_, bench.history_, batch, events, stop.get_token());
    std::vector<TrialRow> stored = bench.store_.trials(bench.id_);
    std::vector<TrialRow> rest(stored.begin() + 8, stored.end());
    EXPECT_EQ(results_of(rest), results_of(batch));
    EXPECT_EQ(done, std::none_of(rest.begin(), rest.end(), [](const TrialRow& row) { return row.pending; }));
    EXPECT_TRUE(bench.evaluator_.evaluate(bench.id_, bench.history_, rest, {}, {}));
    bench.keep(rest);
    EXPECT_EQ(results_of(bench.history_), results_of(whole.history_)) << "stopped after " << after;
    EXPECT_EQ(results_of(bench.store_.trials(bench.id_)), results_of(whole.history_));
  }
}

TEST(Evaluator, StoppedTrainingIsNoResult) {
  json config = train_config();
  config.erase("screen");
  Bench bench(config);
  std::vector<TrialRow> batch = bench.propose(1);
  bench.store_.insert_pending(bench.id_, batch);
  std::stop_source stop;
  Evaluator::Events events;
  events.training = [&](TrialId, const TrainProgress&) { stop.request_stop(); };
  EXPECT_FALSE(bench.evaluator_.evaluate(bench.id_, {}, batch, events, stop.get_token()));
  EXPECT_TRUE(bench.store_.trials(bench.id_).front().pending);
  EXPECT_TRUE(bench.evaluator_.evaluate(bench.id_, {}, batch, {}, {}));
  EXPECT_EQ(batch.front().state, TrialState::complete);
}

TEST(Evaluator, DivergedTrainingFailsTheTrialAndCountsAsATraining) {
  json config = train_config();
  config.erase("screen");
  config["accuracy"]["learning_rate"] = 1e30;
  Bench bench(config);
  const TrialRow row = bench.evaluate(bench.propose(1)).front();
  EXPECT_EQ(row.state, TrialState::failed);
  EXPECT_FALSE(row.reason.empty());
  EXPECT_FALSE(row.metrics.contains("error"));
  const Trial trial = bench.evaluator_.to_trial(row);
  EXPECT_TRUE(trial.objectives.empty());
  EXPECT_EQ(trial.violation, INFINITY);
  EXPECT_EQ(count_trainings({row}), 1);
}

TEST(Evaluator, AccuracyConstraintsAreCheckedAfterTraining) {
  json config = train_config();
  config.erase("screen");
  config["constraints"] = {{{"metric", "error"}, {"max", 0.0}}};
  Bench bench(config);
  for (const TrialRow& row : bench.evaluate(bench.propose(3))) {
    if (row.metrics.at("error") > 0.0) {
      EXPECT_EQ(row.state, TrialState::infeasible);
      EXPECT_EQ(row.violated, "error");
      EXPECT_EQ(row.violation, row.metrics.at("error"));
      EXPECT_EQ(bench.evaluator_.to_trial(row).objectives.size(), 2U);
    } else {
      EXPECT_EQ(row.state, TrialState::complete);
    }
  }
}

TEST(Evaluator, ResultsDoNotDependOnTheNumberOfThreads) {
  std::vector<json> results;
  for (const std::size_t threads : {1, 2, 5}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    Bench bench(train_config());
    bench.evaluate(bench.propose(10));
    results.push_back(results_of(bench.history_));
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Evaluator, TrainingSeedAndAccuracyKeyFollowFromSeedNetworkRecipeAndData) {
  Bench bench(train_config());
  json config = train_config();
  config["seed"] = 4;
  Bench other_seed(config);
  config = train_config();
  config["dataset"]["seed"] = 2;
  Bench other_data(config);
  const std::vector<TrialRow> rows = bench.propose(6);
  const graph::NetworkGraph network = bench.space_.decode(rows[0].genome).front();
  const TrainOptions& recipe = bench.campaign_.networks.front().train;
  EXPECT_EQ(bench.evaluator_.training_seed(network), other_data.evaluator_.training_seed(network));
  EXPECT_NE(bench.evaluator_.training_seed(network), other_seed.evaluator_.training_seed(network));
  EXPECT_NE(bench.evaluator_.accuracy_key(0, network, recipe, {}),
            other_data.evaluator_.accuracy_key(0, network, recipe, {}));
  EXPECT_NE(bench.evaluator_.accuracy_key(0, network, recipe, {}),
            other_seed.evaluator_.accuracy_key(0, network, recipe, {}));
  TrainOptions longer = recipe;
  longer.epochs *= 2;
  EXPECT_NE(bench.evaluator_.accuracy_key(0, network, recipe, {}),
            bench.evaluator_.accuracy_key(0, network, longer, {}));
  quantize::QuantizeRecipe percentile;
  quantize::QuantizeRecipe entropy;
  entropy.ranges.rule = quantize::RangeRule::entropy;
  const std::string quantized = bench.evaluator_.accuracy_key(0, network, recipe, percentile);
  EXPECT_NE(quantized, bench.evaluator_.accuracy_key(0, network, recipe, {}));
  EXPECT_NE(quantized, bench.evaluator_.accuracy_key(0, network, recipe, entropy));
}

}  // namespace
}  // namespace cosearch
