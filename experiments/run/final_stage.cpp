#include "experiments/run/final_stage.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "experiments/evaluate/objectives.hpp"
#include "search/pareto.hpp"
#include "spaces/base/hash.hpp"

namespace cosearch {
namespace {

class FinalStage {
 public:
  FinalStage(const Campaign& campaign, const Evaluator& evaluator, const TaskData& data, Store& store,
             std::int64_t campaign_id, bool quiet, std::stop_token stop)
      : campaign_(campaign),
        evaluator_(evaluator),
        data_(data),
        store_(store),
        campaign_id_(campaign_id),
        folder_(store.files_directory()),
        stop_(std::move(stop)),
        progress_(stderr, quiet, [] { return std::string("final training"); }) {}

  bool run(const std::vector<TrialRow>& rows);

 private:
  [[nodiscard]] std::vector<TrialRow> missing(const std::vector<TrialRow>& rows);
  [[nodiscard]] bool train_one(const TrialRow& row);
  void keep(const TrialRow& row, const graph::NetworkGraph& network, const TrainResult& result,
            const WeightStore& weights);
  void tell_failure(const TrialRow& row, const std::string& reason);

  const Campaign& campaign_;
  const Evaluator& evaluator_;
  const TaskData& data_;
  Store& store_;
  std::int64_t campaign_id_;
  std::filesystem::path folder_;
  std::stop_token stop_;
  std::mutex mutex_;  ///< progress
  Progress progress_;
};

bool FinalStage::run(const std::vector<TrialRow>& rows) {
  const std::vector<TrialRow> todo = missing(rows);
  if (todo.empty()) {
    return true;
  }
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    throw StoreError(5, fmt::format("{}: cannot be created: {}", folder_.string(), error.message()));
  }
  progress_.note(fmt::format("final training of {} networks of the front, {:g} epochs each", todo.size(),
                             campaign_.final_stage.train.epochs));
  std::vector<char> done(todo.size(), 0);
  tbb::parallel_for(
      std::size_t{0}, todo.size(),
      [&](std::size_t i) {
        // Isolated: a thread that waits inside one training must not begin another one on top of it.
        tbb::this_task_arena::isolate([&] { done[i] = train_one(todo[i]) ? 1 : 0; });
      },
      tbb::simple_partitioner());
  return std::all_of(done.begin(), done.end(), [](char flag) { return flag != 0; });
}

std::vector<TrialRow> FinalStage::missing(const std::vector<TrialRow>& rows) {
  std::map<TrialId, FinalRow> finals;
  std::map<std::string, TrialId> by_network;
  for (FinalRow& row : store_.finals(campaign_id_)) {
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
      store_.put_final(campaign_id_, copy);
      continue;
    }
    todo.push_back(std::move(row));
  }
  return todo;
}

bool FinalStage::train_one(const TrialRow& row) {
  const graph::NetworkGraph network = evaluator_.network(row.genome);
  const TrainOptions& recipe = campaign_.final_stage.train;
  Evaluator::InitialWeights initial = evaluator_.final_weights(network, row.genome);
  WeightStore& weights = initial.weights;
  const std::string key = evaluator_.accuracy_key(network, recipe, initial.origin);
  const std::uint64_t seed = evaluator_.training_seed(network);
  // The key in the name keeps a checkpoint of another recipe or an older database from being taken up.
  const std::filesystem::path checkpoint = folder_ / (key + ".checkpoint");
  const std::optional<Store::CachedAccuracy> known = store_.cached_accuracy(key);
  if (known && known->failed) {
    tell_failure(row, known->reason);
    return true;
  }
  const auto report = [&](const TrainProgress& progress) {
    const std::lock_guard guard(mutex_);
    progress_.training(row.id, progress);
  };
  const Expected<TrainResult, Infeasible> result =
      train(network, data_, data_.search, recipe, seed, weights, report, stop_, {checkpoint.string()});
  if (result && result->stopped) {
    return false;
  }
  {
    const std::lock_guard guard(mutex_);
    progress_.trained(row.id);
  }
  if (result) {
    keep(row, network, *result, weights);
  } else {
    store_.put_accuracy(key, {true, result.error().reason, {}});  // a resumed run need not find out again
    tell_failure(row, result.error().reason);
  }
  std::error_code ignored;
  std::filesystem::remove(checkpoint, ignored);
  return true;
}

void FinalStage::keep(const TrialRow& row, const graph::NetworkGraph& network, const TrainResult& result,
                      const WeightStore& weights) {
  const double test_accuracy =
      evaluate_accuracy(network, data_, data_.test, weights, 0, campaign_.final_stage.train.precision);
  FinalRow final_row;
  final_row.trial = row.id;
  final_row.metrics = {
      {"accuracy", result.accuracy}, {"test_accuracy", test_accuracy}, {"train_loss", result.train_loss}};
  final_row.weights_file = (folder_ / fmt::format("campaign-{}-trial-{}.safetensors", campaign_id_, row.id)).string();
  try {
    save_safetensors(weights,
                     {{"campaign", campaign_.name},
                      {"trial", std::to_string(row.id)},
                      {"network", graph::to_json(network).dump()},
                      {"test_accuracy", fmt::format("{}", test_accuracy)}},
                     final_row.weights_file);
  } catch (const std::runtime_error& error) {
    throw StoreError(5, error.what());
  }
  store_.put_final(campaign_id_, final_row);
  const std::lock_guard guard(mutex_);
  progress_.note(
      fmt::format("trial {}: accuracy {:.4f}, test accuracy {:.4f}", row.id, result.accuracy, test_accuracy));
}

void FinalStage::tell_failure(const TrialRow& row, const std::string& reason) {
  const std::lock_guard guard(mutex_);
  progress_.note(fmt::format("trial {}: the final training failed: {}", row.id, reason));
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

bool run_final_stage(const Campaign& campaign, const Evaluator& evaluator, const TaskData& data, Store& store,
                     std::int64_t campaign_id, const std::vector<TrialRow>& rows, bool quiet, std::stop_token stop) {
  return FinalStage(campaign, evaluator, data, store, campaign_id, quiet, std::move(stop)).run(rows);
}

}  // namespace cosearch
