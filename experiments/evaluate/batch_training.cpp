// The part of BatchEvaluation that finds accuracies.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include "experiments/evaluate/batch_evaluation.hpp"
#include "experiments/evaluate/learning.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {

bool BatchEvaluation::train_all(const std::vector<Group*>& groups) {
  std::vector<Training*> missing;
  for (const Group* group : groups) {
    std::copy_if(group->trainings.begin(), group->trainings.end(), std::back_inserter(missing),
                 [&](const Training* training) {
                   return !training->outcome && std::find(missing.begin(), missing.end(), training) == missing.end();
                 });
  }
  if (!prepare_supernets(missing)) {
    return false;
  }
  for_each_training(std::ssize(missing),
                    [&](std::int64_t i) { train_one(*missing[static_cast<std::size_t>(i)], groups); });
  return std::all_of(groups.begin(), groups.end(), [](const Group* group) { return group->measured(); });
}

bool BatchEvaluation::prepare_supernets(const std::vector<Training*>& trainings) {
  if (evaluator_.supernets_ == nullptr) {
    return true;
  }
  return std::all_of(trainings.begin(), trainings.end(), [&](const Training* training) {
    return finished_before(*training) || evaluator_.store_.cached_accuracy(key_of(*training)) ||
           evaluator_.supernets_->train(training->index, batch_[training->rows.front()].genome, events_.supernets,
                                        stop_);
  });
}

void BatchEvaluation::train_one(Training& training, const std::vector<Group*>& groups) {
  std::optional<TrainingOutcome> outcome = finished_before(training);
  if (!outcome && !stop_.stop_requested()) {
    outcome = measured(training);
  }
  if (!outcome) {
    return;
  }
  std::vector<Group*> complete;
  {
    // Whoever brings the last outcome of a group finishes its rows.
    const std::lock_guard guard(mutex_);
    training.outcome = std::move(outcome);
    std::copy_if(groups.begin(), groups.end(), std::back_inserter(complete), [&](const Group* group) {
      return group->trainings[training.index] == &training && group->measured();
    });
  }
  for (Group* group : complete) {
    finish_measured(*group);
  }
}

std::optional<TrainingOutcome> BatchEvaluation::finished_before(const Training& training) const {
  for (const std::size_t row : training.rows) {
    std::vector<TrainingOutcome> outcomes = outcomes_of(campaign_, batch_[row]);
    // Why one of several networks failed is in the cache, not in the row.
    if (!outcomes.empty() && !outcomes[training.index].failed) {
      return std::move(outcomes[training.index]);
    }
  }
  return std::nullopt;
}

std::string BatchEvaluation::key_of(const Training& training) const {
  const std::size_t first = training.rows.front();
  const graph::NetworkGraph& graph = candidates_[first].networks[training.index];
  return campaign_.accuracy == AccuracyKind::one_shot
             ? evaluator_.one_shot_key(training.index, graph, batch_[first].genome)
             : evaluator_.accuracy_key(training.index, graph, evaluator_.recipe(training.index, batch_[first].fidelity),
                                       campaign_.networks[training.index].quantize);
}

std::optional<TrainingOutcome> BatchEvaluation::measured(Training& training) {
  const std::string key = key_of(training);
  const std::optional<Store::CachedAccuracy> cached = evaluator_.store_.cached_accuracy(key);
  {
    const std::lock_guard guard(mutex_);
    ++evaluator_.cache_use_.lookups;
    evaluator_.cache_use_.hits += cached ? 1 : 0;
  }
  if (cached) {
    return TrainingOutcome{cached->failed, cached->reason, cached->metrics, cached->routing};
  }
  const auto start = std::chrono::steady_clock::now();
  std::optional<TrainingOutcome> outcome =
      campaign_.accuracy == AccuracyKind::one_shot ? scored(training) : trained(training);
  if (outcome) {
    training.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    evaluator_.store_.put_accuracy(key, {outcome->failed, outcome->reason, outcome->metrics, outcome->routing});
  }
  return outcome;
}

std::optional<TrainingOutcome> BatchEvaluation::trained(const Training& training) {
  const std::size_t row = training.rows.front();
  const graph::NetworkGraph& graph = candidates_[row].networks[training.index];
  const TrialId id = batch_[row].id;
  const std::uint64_t seed = evaluator_.training_seed(graph);
  const Learning learning = evaluator_.learning(training.index);
  WeightStore weights = initial_weights(learning, graph, seed);
  const auto report = [&](const TrainProgress& progress) {
    const std::lock_guard guard(mutex_);
    if (events_.training) {
      events_.training(id, progress);
    }
  };
  const TrainOptions recipe = evaluator_.recipe(training.index, batch_[row].fidelity);
  const Expected<LearningResult, Infeasible> result =
      learn(learning, graph, recipe, campaign_.networks[training.index].quantize, seed, weights, report, stop_);
  {
    const std::lock_guard guard(mutex_);
    if (events_.trained) {
      events_.trained(id);
    }
  }
  if (!result) {
    return TrainingOutcome{true, result.error().reason, {}};
  }
  if (result->stopped) {
    return std::nullopt;
  }
  if (std::all_of(result->metrics.begin(), result->metrics.end(),
                  [](const auto& metric) { return std::isfinite(metric.second); })) {
    return TrainingOutcome{false, {}, result->metrics, result->routing};
  }
  return TrainingOutcome{true, "the training loss is not finite", {}};
}

TrainingOutcome BatchEvaluation::scored(const Training& training) {
  const std::size_t row = training.rows.front();
  SubnetScorer& scorer = evaluator_.supernets_->scorer(training.index, batch_[row].genome);
  const graph::NetworkGraph& graph = candidates_[row].networks[training.index];
  const auto scores = scorer.scores(graph, &TaskData::search);
  if (!scores) {
    return {true, scores.error().reason, {}};
  }
  return {
      false, {}, score_metrics(evaluator_.learning(training.index), *scores), scorer.routing(graph, &TaskData::search)};
}

}  // namespace cosearch
