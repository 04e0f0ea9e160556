#include "experiments/evaluate/batch_evaluation.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>
#include <variant>

#include "experiments/evaluate/objectives.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"

namespace cosearch {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Sum, worst and its name, as rows store them. A candidate that is out without a number is infinitely far off.
void set_violation(TrialRow& row, const std::vector<Violation>& violations) {
  row.violation = 0.0;
  for (const Violation& violation : violations) {
    row.violation += violation.amount();
    if (row.violated.empty() || violation.amount() > row.violated_by) {
      row.violated = violation.name;
      row.violated_by = violation.amount();
    }
  }
  if (row.violation == 0.0 && row.state == TrialState::infeasible) {
    row.violation = std::numeric_limits<double>::infinity();
  }
}

}  // namespace

std::string training_identity(const std::string& network_hash, const Fidelity& fidelity) {
  return fmt::format("{}/{}/{}", network_hash, static_cast<int>(fidelity.kind), fidelity.epochs);
}

std::optional<TrainingOutcome> outcome_of(const TrialRow& row) {
  if (row.pending) {
    return std::nullopt;
  }
  if (row.state == TrialState::failed) {
    return TrainingOutcome{true, row.reason, {}};
  }
  if (!row.metrics.contains("error")) {
    return std::nullopt;
  }
  TrainingOutcome outcome;
  for (const char* name : {"accuracy", "error", "train_loss"}) {
    if (const auto found = row.metrics.find(name); found != row.metrics.end()) {
      outcome.metrics.insert(*found);
    }
  }
  return outcome;
}

BatchEvaluation::BatchEvaluation(Evaluator& evaluator, std::int64_t campaign_id, const std::vector<TrialRow>& history,
                                 std::vector<TrialRow>& batch, const Evaluator::Events& events, std::stop_token stop)
    : evaluator_(evaluator),
      campaign_(evaluator.campaign_),
      campaign_id_(campaign_id),
      history_(history),
      batch_(batch),
      events_(events),
      stop_(std::move(stop)),
      candidates_(batch.size()) {
  if (campaign_.accuracy == AccuracyKind::none) {
    return;  // histories of cost-only campaigns are long and tell nothing here
  }
  for (const TrialRow& row : history_) {
    if (auto outcome = outcome_of(row)) {
      known_.try_emplace(training_identity(row.network_hash, row.fidelity), std::move(*outcome));
    }
  }
}

bool BatchEvaluation::run() {
  cost_candidates();
  if (stop_.stop_requested()) {
    return false;
  }
  finish_without_training();
  group_networks();
  return train_and_screen();
}

// --- cost ------------------------------------------------------------------------------------------------------

void BatchEvaluation::cost_candidates() {
  tbb::parallel_for(std::size_t{0}, batch_.size(), [&](std::size_t row) { describe(row); });
  std::vector<std::optional<Store::CachedCost>> costs;
  std::vector<std::size_t> missing;
  for (std::size_t row = 0; row < batch_.size(); ++row) {
    costs.push_back(evaluator_.store_.cached_cost(candidates_[row].cost_key));
    if (!costs.back()) {
      missing.push_back(row);
    }
  }
  evaluator_.cache_use_.lookups += static_cast<std::int64_t>(batch_.size());
  evaluator_.cache_use_.hits += static_cast<std::int64_t>(batch_.size() - missing.size());
  tbb::parallel_for(std::size_t{0}, missing.size(), [&](std::size_t i) {
    const Clock::time_point start = Clock::now();
    costs[missing[i]] = priced(missing[i]);
    candidates_[missing[i]].seconds += seconds_since(start);
  });
  std::vector<std::pair<std::string, Store::CachedCost>> fresh;
  fresh.reserve(missing.size());
  for (const std::size_t row : missing) {
    fresh.emplace_back(candidates_[row].cost_key, *costs[row]);
  }
  if (!fresh.empty()) {
    evaluator_.store_.put_costs(fresh);
  }
  for (std::size_t row = 0; row < batch_.size(); ++row) {
    take_cost(row, *costs[row]);
  }
}

void BatchEvaluation::describe(std::size_t row) {
  const Clock::time_point start = Clock::now();
  const Genome& genome = batch_[row].genome;
  Candidate& candidate = candidates_[row];
  candidate.network = evaluator_.network(genome);
  candidate.network_hash = hex(graph::hash(candidate.network));
  candidate.hardware_hash = hex(hash(evaluator_.space_.hardware_part(genome)));
  candidate.cost_key = fmt::format("{}-{}-{}", hex(hash(evaluator_.job(candidate.network))), candidate.hardware_hash,
                                   hex(Hasher().add(evaluator_.space_.target().fingerprint()).value()));
  const graph::NodeCounts counts = graph::total_counts(candidate.network);
  candidate.metrics = {{"macs", static_cast<double>(counts.macs)}, {"params", static_cast<double>(counts.parameters)}};
  candidate.seconds = seconds_since(start);
}

Store::CachedCost BatchEvaluation::priced(std::size_t row) const {
  const Expected<Cost, Infeasible> cost = evaluator_.cost(candidates_[row].network, batch_[row].genome);
  if (!cost) {
    Store::CachedCost result{{}, {}, true, cost.error().reason};
    std::copy_if(cost.error().violations.begin(), cost.error().violations.end(), std::back_inserter(result.violations),
                 [](const Violation& item) { return std::isfinite(item.required) && std::isfinite(item.limit); });
    return result;
  }
  for (const auto& [name, value] : cost->metrics) {
    if (!std::isfinite(value)) {
      return {{}, {}, true, fmt::format("the cost model gives no finite {}", name)};
    }
  }
  return {cost->metrics, {}, false, {}};
}

void BatchEvaluation::take_cost(std::size_t row, const Store::CachedCost& cost) {
  Candidate& candidate = candidates_[row];
  for (const auto& [name, value] : cost.metrics) {
    candidate.metrics[name] = value;  // the model's own counts, where it has some, are for its batch
  }
  const std::vector<Violation> broken = broken_constraints(campaign_, candidate.metrics);
  candidate.feasible = !cost.infeasible && broken.empty();
  candidate.violations = cost.violations;
  candidate.violations.insert(candidate.violations.end(), broken.begin(), broken.end());
  candidate.reason = cost.reason;
  if (!broken.empty()) {
    candidate.reason += (candidate.reason.empty() ? "" : "; ") + constraint_text(broken);
  }
}

void BatchEvaluation::finish_without_training() {
  for (std::size_t row = 0; row < batch_.size(); ++row) {
    TrialRow& trial = batch_[row];
    if (!trial.pending) {
      continue;
    }
    if (!candidates_[row].feasible) {
      trial.state = TrialState::infeasible;
      trial.metrics = candidates_[row].metrics;
      trial.reason = candidates_[row].reason;
      set_violation(trial, candidates_[row].violations);
      finish(row);
    } else if (!evaluator_.trains(trial.fidelity)) {
      conclude(row, candidates_[row].metrics);
      finish(row);
    }
  }
}

// --- which networks to train -----------------------------------------------------------------------------------

void BatchEvaluation::group_networks() {
  std::map<std::string, std::size_t> place;
  for (std::size_t row = 0; row < batch_.size(); ++row) {
    if (!candidates_[row].feasible || !evaluator_.trains(batch_[row].fidelity)) {
      continue;
    }
    const std::string key = training_identity(candidates_[row].network_hash, batch_[row].fidelity);
    const auto [found, is_new] = place.try_emplace(key, networks_.size());
    if (is_new) {
      networks_.emplace_back();
      const auto known = known_.find(key);
      if (known != known_.end()) {
        networks_.back().outcome = known->second;
      }
    }
    networks_[found->second].rows.push_back(row);
  }
}

bool BatchEvaluation::train_and_screen() {
  std::vector<Network*> unknown;
  for (Network& network : networks_) {
    if (network.outcome) {
      finish_trained(network);
    } else {
      unknown.push_back(&network);
    }
  }
  const auto trained = static_cast<std::int64_t>(known_.size());
  std::int64_t left = campaign_.trainings > 0 ? std::max<std::int64_t>(0, campaign_.trainings - trained)
                                              : std::numeric_limits<std::int64_t>::max();
  auto unscreened = static_cast<std::int64_t>(unknown.size());
  if (!campaign_.screen.predictor.empty()) {
    unscreened =
        std::min(unscreened, std::max<std::int64_t>(0, std::max<std::int64_t>(1, campaign_.screen.warmup) - trained));
  }
  unscreened = std::min(unscreened, left);
  left -= unscreened;
  const auto middle = unknown.begin() + unscreened;
  return train_all({unknown.begin(), middle}) && train_all(chosen({middle, unknown.end()}, left));
}

std::vector<BatchEvaluation::Network*> BatchEvaluation::chosen(std::vector<Network*> networks, std::int64_t left) {
  if (networks.empty()) {
    return networks;
  }
  rank(networks);
  const auto size = static_cast<std::int64_t>(networks.size());
  // The small number keeps 0.1 * 30 = 3.0000000000000004 from being rounded up to 4.
  const std::int64_t share =
      campaign_.screen.predictor.empty()
          ? size
          : static_cast<std::int64_t>(std::ceil(campaign_.screen.share * static_cast<double>(size) - 1e-9));
  const std::int64_t taken = std::min(std::clamp<std::int64_t>(share, 0, size), left);
  for (std::int64_t i = taken; i < size; ++i) {
    Network& network = *networks[static_cast<std::size_t>(i)];
    std::string why = "screened";
    if (network.prediction) {
      why += fmt::format(": predicted error {:.4f} +- {:.4f}, ranked {} of {}", network.prediction->mean,
                         network.prediction->std_dev, i + 1, size);
    }
    if (i < share) {
      why += fmt::format("; the budget of {} trainings is used up", campaign_.trainings);
    }
    finish_screened(network, why);
  }
  networks.resize(static_cast<std::size_t>(taken));
  return networks;
}

// --- training --------------------------------------------------------------------------------------------------

bool BatchEvaluation::train_all(const std::vector<Network*>& networks) {
  tbb::parallel_for(
      std::size_t{0}, networks.size(),
      [&](std::size_t i) {
        // Isolated: a thread that waits inside one training must not begin another one on top of it.
        tbb::this_task_arena::isolate([&] { train_one(*networks[i]); });
      },
      tbb::simple_partitioner());
  return std::all_of(networks.begin(), networks.end(),
                     [](const Network* network) { return network->outcome.has_value(); });
}

void BatchEvaluation::train_one(Network& network) {
  for (const std::size_t row : network.rows) {
    if (auto outcome = outcome_of(batch_[row])) {  // finished before an interruption
      network.outcome = std::move(outcome);
      break;
    }
  }
  if (!network.outcome && !stop_.stop_requested()) {
    network.outcome = measured(network);
  }
  if (network.outcome) {
    finish_trained(network);
  }
}

std::optional<TrainingOutcome> BatchEvaluation::measured(Network& network) {
  const std::size_t first = network.rows.front();
  const graph::NetworkGraph& graph = candidates_[first].network;
  const bool one_shot = campaign_.accuracy == AccuracyKind::one_shot;
  const std::string key = one_shot ? evaluator_.one_shot_key(graph, batch_[first].genome)
                                   : evaluator_.accuracy_key(graph, evaluator_.recipe(batch_[first].fidelity));
  const std::optional<Store::CachedAccuracy> cached = evaluator_.store_.cached_accuracy(key);
  {
    const std::lock_guard guard(mutex_);
    ++evaluator_.cache_use_.lookups;
    evaluator_.cache_use_.hits += cached ? 1 : 0;
  }
  if (cached) {
    return TrainingOutcome{cached->failed, cached->reason, cached->metrics};
  }
  const Clock::time_point start = Clock::now();
  std::optional<TrainingOutcome> outcome = one_shot ? scored(first) : trained(first);
  if (outcome) {
    network.seconds = seconds_since(start);
    evaluator_.store_.put_accuracy(key, {outcome->failed, outcome->reason, outcome->metrics});
  }
  return outcome;
}

std::optional<TrainingOutcome> BatchEvaluation::trained(std::size_t row) {
  const graph::NetworkGraph& graph = candidates_[row].network;
  const TrialId id = batch_[row].id;
  const std::uint64_t seed = evaluator_.training_seed(graph);
  WeightStore weights = WeightStore::for_network(graph, seed);
  const auto report = [&](const TrainProgress& progress) {
    const std::lock_guard guard(mutex_);
    if (events_.training) {
      events_.training(id, progress);
    }
  };
  const TaskData& data = *evaluator_.data_;
  const Expected<TrainResult, Infeasible> result =
      train(graph, data, data.search, evaluator_.recipe(batch_[row].fidelity), seed, weights, report, stop_);
  {
    const std::lock_guard guard(mutex_);
    if (events_.trained) {
      events_.trained(id);
    }
  }
  if (result && result->stopped) {
    return std::nullopt;
  }
  TrainingOutcome outcome;
  if (result && std::isfinite(result->accuracy) && std::isfinite(result->train_loss)) {
    outcome.metrics = with_error({{"train_loss", result->train_loss}}, 1.0 - result->accuracy);
    outcome.metrics["accuracy"] = result->accuracy;  // not 1 - (1 - accuracy), which rounds
  } else {
    outcome.failed = true;
    outcome.reason = result ? "the training loss is not finite" : result.error().reason;
  }
  return outcome;
}

TrainingOutcome BatchEvaluation::scored(std::size_t row) {
  SubnetScorer& scorer = evaluator_.supernets_->scorer(batch_[row].genome);
  const Expected<double, Infeasible> accuracy = scorer.accuracy(candidates_[row].network, evaluator_.data_->search);
  if (!accuracy) {
    return {true, accuracy.error().reason, {}};
  }
  TrainingOutcome outcome{false, {}, with_error({}, 1.0 - *accuracy)};
  outcome.metrics["accuracy"] = *accuracy;
  return outcome;
}

void BatchEvaluation::finish_trained(Network& network) {
  double seconds = network.seconds;
  for (const std::size_t row : network.rows) {
    TrialRow& trial = batch_[row];
    if (!trial.pending) {
      continue;
    }
    Metrics metrics = candidates_[row].metrics;
    if (network.prediction) {
      metrics["predicted_error"] = network.prediction->mean;
    }
    if (network.outcome->failed) {
      trial.state = TrialState::failed;
      trial.metrics = std::move(metrics);
      trial.reason = network.outcome->reason;
    } else {
      metrics.insert(network.outcome->metrics.begin(), network.outcome->metrics.end());
      conclude(row, std::move(metrics));
    }
    candidates_[row].seconds += std::exchange(seconds, 0.0);  // the first row pays for all
    finish(row);
  }
}

void BatchEvaluation::finish_screened(Network& network, const std::string& why) {
  for (const std::size_t row : network.rows) {
    TrialRow& trial = batch_[row];
    if (!trial.pending) {
      continue;
    }
    trial.state = TrialState::screened;
    trial.metrics = candidates_[row].metrics;
    trial.reason = why;
    if (network.prediction) {
      const double error = network.prediction->mean;
      set_violation(trial, broken_constraints(campaign_, with_error(trial.metrics, error)));
      trial.metrics["predicted_error"] = error;
    }
    finish(row);
  }
}

void BatchEvaluation::conclude(std::size_t row, Metrics metrics) {
  TrialRow& trial = batch_[row];
  const std::vector<Violation> broken = broken_constraints(campaign_, metrics);
  trial.metrics = std::move(metrics);
  trial.state = broken.empty() ? TrialState::complete : TrialState::infeasible;
  trial.reason = constraint_text(broken);
  set_violation(trial, broken);
}

void BatchEvaluation::finish(std::size_t row) {
  TrialRow& trial = batch_[row];
  const std::lock_guard guard(mutex_);
  trial.pending = false;
  trial.network_hash = candidates_[row].network_hash;
  trial.hardware_hash = candidates_[row].hardware_hash;
  trial.duration_s = candidates_[row].seconds;
  evaluator_.store_.finish(campaign_id_, trial);
  if (events_.finished) {
    events_.finished(trial);
  }
}

}  // namespace cosearch
