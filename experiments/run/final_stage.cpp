#include "experiments/run/final_stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "experiments/evaluate/learning.hpp"
#include "experiments/evaluate/objectives.hpp"
#include "experiments/evaluate/training_outcome.hpp"
#include "search/pareto.hpp"
#include "spaces/base/hash.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

class FinalStage {
 public:
  FinalStage(const FinalContext& context, bool quiet, std::stop_token stop)
      : context_(context),
        campaign_(context.campaign),
        store_(context.store),
        folder_(store_.files_directory()),
        stop_(std::move(stop)),
        progress_(stderr, quiet, [] { return std::string("final training"); }) {}

  bool run(const std::vector<TrialRow>& rows);

 private:
  /// A network that one or several of the candidates have.
  struct Training {
    std::size_t index = 0;  ///< which of the campaign's networks it is
    graph::NetworkGraph network;
    std::string checkpoint;
    bool ended = false;
    std::size_t waiting = 0;  ///< candidates that need it and are not stored yet
    std::string failure;      ///< why it has no result
    WeightStore weights;
    std::vector<std::vector<quantize::ValueRange>> ranges;  ///< of each task, where it is quantised
    graph::Histograms routing;                              ///< where it has mixtures of experts
    Metrics metrics;                                        ///< accuracy, test_accuracy, train_loss
  };
  /// A candidate and the trainings of its networks, in the campaign's order.
  struct Candidate {
    TrialRow row;
    std::vector<Training*> trainings;
    bool ended = false;
  };

  [[nodiscard]] std::vector<TrialRow> missing(const std::vector<TrialRow>& rows);
  void plan(std::vector<TrialRow> rows);
  [[nodiscard]] const Candidate& first_with(const Training& training) const;
  void train_one(Training& training);
  /// False when it was stopped.
  [[nodiscard]] bool learn(Training& training, const TrialRow& row);
  void finish(Candidate& candidate);
  void keep(const Candidate& candidate);
  /// What the candidate costs where tokens go as its trained networks send them; nothing without mixtures.
  [[nodiscard]] Metrics priced_again(const TrialRow& row, const Routing& routing);

  const FinalContext& context_;
  const Campaign& campaign_;
  Store& store_;
  std::filesystem::path folder_;
  std::stop_token stop_;
  std::mutex mutex_;  ///< progress, what has ended
  Progress progress_;
  std::deque<Training> trainings_;
  std::vector<Candidate> candidates_;
};

bool FinalStage::run(const std::vector<TrialRow>& rows) {
  plan(missing(rows));
  if (candidates_.empty()) {
    return true;
  }
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    throw StoreError(5, fmt::format("{}: cannot be created: {}", folder_.string(), error.message()));
  }
  progress_.note(fmt::format("final training of {} networks of the front", trainings_.size()));
  for_each_training(std::ssize(trainings_),
                    [&](std::int64_t i) { train_one(trainings_[static_cast<std::size_t>(i)]); });
  return std::all_of(candidates_.begin(), candidates_.end(), [](const Candidate& item) { return item.ended; });
}

std::vector<TrialRow> FinalStage::missing(const std::vector<TrialRow>& rows) {
  std::map<TrialId, FinalRow> finals;
  std::map<std::string, TrialId> by_network;
  for (FinalRow& row : store_.finals(context_.campaign_id)) {
    by_network.emplace(rows.at(static_cast<std::size_t>(row.trial)).network_hash, row.trial);
    finals.emplace(row.trial, std::move(row));
  }
  std::vector<TrialRow> todo;
  for (TrialRow& row : select_finals(campaign_, rows)) {
    const auto same = by_network.find(row.network_hash);
    if (finals.contains(row.id)) {
      continue;
    }
    if (same != by_network.end()) {  // the front moved to other hardware for this network; its weights stay
      FinalRow copy = finals.at(same->second);
      copy.trial = row.id;
      for (const std::string& cost : context_.space.target().metric_names()) {
        copy.metrics.erase(cost);  // of the other hardware
      }
      copy.metrics.merge(priced_again(row, copy.routing));
      store_.put_final(context_.campaign_id, copy);
      continue;
    }
    todo.push_back(std::move(row));
  }
  return todo;
}

void FinalStage::plan(std::vector<TrialRow> rows) {
  std::map<std::string, Training*> known;
  for (TrialRow& row : rows) {
    Candidate candidate;
    std::vector<graph::NetworkGraph> networks = context_.space.decode(row.genome);
    const std::vector<std::string> identities = training_identities(row.network_hash, row.fidelity);
    for (std::size_t i = 0; i < networks.size(); ++i) {
      Training*& training = known[identities.at(i)];
      if (training == nullptr) {
        training = &trainings_.emplace_back();
        training->index = i;
        training->network = std::move(networks[i]);
      }
      ++training->waiting;
      candidate.trainings.push_back(training);
    }
    candidate.row = std::move(row);
    candidates_.push_back(std::move(candidate));
  }
}

const FinalStage::Candidate& FinalStage::first_with(const Training& training) const {
  return *std::find_if(candidates_.begin(), candidates_.end(),
                       [&](const Candidate& candidate) { return candidate.trainings[training.index] == &training; });
}

void FinalStage::train_one(Training& training) {
  if (!learn(training, first_with(training).row)) {
    return;
  }
  std::vector<Candidate*> complete;
  {
    // Whoever brings the last network of a candidate stores it.
    const std::lock_guard guard(mutex_);
    training.ended = true;
    for (Candidate& candidate : candidates_) {
      if (candidate.trainings[training.index] == &training &&
          std::all_of(candidate.trainings.begin(), candidate.trainings.end(),
                      [](const Training* item) { return item->ended; })) {
        complete.push_back(&candidate);
      }
    }
  }
  for (Candidate* candidate : complete) {
    finish(*candidate);
  }
}

bool FinalStage::learn(Training& training, const TrialRow& row) {
  const graph::NetworkGraph& network = training.network;
  const Learning learning = context_.evaluator.learning(training.index);
  const TrainOptions& recipe = campaign_.networks[training.index].final_train;
  const std::optional<quantize::QuantizeRecipe>& quantize = campaign_.networks[training.index].final_quantize;
  Evaluator::InitialWeights initial = context_.evaluator.final_weights(training.index, network, row.genome);
  const std::string key = context_.evaluator.accuracy_key(training.index, network, recipe, quantize, initial.origin);
  const std::optional<Store::CachedAccuracy> known = store_.cached_accuracy(key);
  if (known && known->failed) {
    training.failure = known->reason;
    return true;
  }
  // The key in the name keeps a checkpoint of another recipe or an older database from being taken up.
  training.checkpoint = (folder_ / (key + ".checkpoint")).string();
  training.weights = std::move(initial.weights);
  const auto report = [&](const TrainProgress& progress) {
    const std::lock_guard guard(mutex_);
    progress_.training(row.id, progress);
  };
  Expected<LearningResult, Infeasible> result =
      cosearch::learn(learning, network, recipe, quantize, context_.evaluator.training_seed(network), training.weights,
                      report, stop_, {training.checkpoint});
  if (result && result->stopped) {
    return false;
  }
  {
    const std::lock_guard guard(mutex_);
    progress_.trained(row.id);
  }
  if (result) {
    training.ranges = std::move(result->ranges);
    training.metrics = std::move(result->metrics);
    training.metrics.erase("error");
    training.routing = std::move(result->routing);
    training.metrics.merge(test_metrics(learning, network, training.weights, training.ranges, recipe.precision));
  } else {
    training.failure = result.error().reason;
    store_.put_accuracy(key, {true, training.failure, {}});  // a resumed run need not find out again
  }
  return true;
}

void FinalStage::finish(Candidate& candidate) {
  std::string failures;
  for (const Training* training : candidate.trainings) {
    if (!training->failure.empty()) {
      const std::string& name = campaign_.networks[training->index].name;
      failures += (failures.empty() ? "" : "; ") + (name.empty() ? "" : name + ": ") + training->failure;
    }
  }
  if (failures.empty()) {
    keep(candidate);
  } else {
    const std::lock_guard guard(mutex_);
    progress_.note(fmt::format("trial {}: the final training failed: {}", candidate.row.id, failures));
  }
  const std::lock_guard guard(mutex_);
  candidate.ended = true;
  for (Training* training : candidate.trainings) {
    if (--training->waiting == 0) {
      training->weights = {};
      std::error_code ignored;
      std::filesystem::remove(training->checkpoint, ignored);
      std::filesystem::remove(quantize::fine_tune_checkpoint({training->checkpoint}).path, ignored);
    }
  }
}

Metrics FinalStage::priced_again(const TrialRow& row, const Routing& routing) {
  if (routing.empty()) {
    return {};
  }
  const Expected<Cost, Infeasible> cost = context_.evaluator.explain(row.genome, routing);
  if (!cost) {
    const std::lock_guard guard(mutex_);
    progress_.note(
        fmt::format("trial {}: its trained routers send more tokens to an expert than the hardware can take: {}",
                    row.id, cost.error().reason));
    return {};
  }
  return cost->metrics;
}

void FinalStage::keep(const Candidate& candidate) {
  const TrialId id = candidate.row.id;
  std::vector<Metrics> metrics;
  nlohmann::json networks = nlohmann::json::array();
  nlohmann::json ranges = nlohmann::json::array();
  WeightStore weights;
  for (const Training* training : candidate.trainings) {
    metrics.push_back(training->metrics);
    networks.push_back(graph::to_json(training->network));
    ranges.push_back(to_json(training->ranges));
    for (const auto& [key, stored] : training->weights.weights()) {
      StoredWeight weight = stored;
      const std::string& name = campaign_.networks[training->index].name;
      weight.spec.name.insert(0, name.empty() ? "" : name + ".");
      weights.insert(std::move(weight));
    }
  }
  FinalRow row;
  row.trial = id;
  row.metrics = combined_metrics(campaign_, metrics);
  if (std::any_of(candidate.trainings.begin(), candidate.trainings.end(),
                  [](const Training* training) { return !training->routing.empty(); })) {
    std::transform(candidate.trainings.begin(), candidate.trainings.end(), std::back_inserter(row.routing),
                   [](const Training* training) { return training->routing; });
  }
  row.metrics.merge(priced_again(candidate.row, row.routing));
  row.weights_file = (folder_ / fmt::format("campaign-{}-trial-{}.safetensors", context_.campaign_id, id)).string();
  const double test_accuracy = row.metrics.at("test_accuracy");
  const bool single = networks.size() == 1;
  std::map<std::string, std::string> metadata = {
      {"campaign", campaign_.name},
      {"trial", std::to_string(id)},
      {single ? "network" : "networks", (single ? networks[0] : networks).dump()},
      {"test_accuracy", fmt::format("{}", test_accuracy)}};
  if (std::any_of(ranges.begin(), ranges.end(), [](const nlohmann::json& own) { return !own.empty(); })) {
    metadata["ranges"] = (single ? ranges[0] : ranges).dump();
  }
  try {
    save_safetensors(weights, metadata, row.weights_file);
  } catch (const std::runtime_error& error) {
    throw StoreError(5, error.what());
  }
  store_.put_final(context_.campaign_id, row);
  const std::lock_guard guard(mutex_);
  progress_.note(
      fmt::format("trial {}: accuracy {:.4f}, test accuracy {:.4f}", id, row.metrics.at("accuracy"), test_accuracy));
}

}  // namespace

std::vector<TrialRow> select_finals(const Campaign& campaign, const std::vector<TrialRow>& rows) {
  std::vector<const TrialRow*> measured;
  std::vector<Point> points;
  for (const TrialRow& row : rows) {
    if (!row.pending && row.state == TrialState::complete && row.metrics.contains("error")) {
      measured.push_back(&row);
      points.push_back(objectives_of(campaign, row.metrics));
    }
  }
  std::vector<const TrialRow*> front;
  for (const std::size_t index : pareto_front(points)) {
    front.push_back(measured[index]);
  }
  std::sort(front.begin(), front.end(), [](const TrialRow* a, const TrialRow* b) {
    return std::tuple(a->metrics.at("error"), a->id) < std::tuple(b->metrics.at("error"), b->id);
  });
  std::vector<TrialRow> chosen;
  std::set<std::string> networks;
  for (const TrialRow* row : front) {
    if (static_cast<std::int64_t>(chosen.size()) < campaign.final_stage.top &&
        networks.insert(row->network_hash).second) {
      chosen.push_back(*row);
    }
  }
  return chosen;
}

bool run_final_stage(const FinalContext& context, const std::vector<TrialRow>& rows, bool quiet, std::stop_token stop) {
  return FinalStage(context, quiet, std::move(stop)).run(rows);
}

}  // namespace cosearch
