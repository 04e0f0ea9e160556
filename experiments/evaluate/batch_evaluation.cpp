#include "experiments/evaluate/batch_evaluation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>

#include "experiments/evaluate/network_jobs.hpp"
#include "experiments/evaluate/objectives.hpp"
#include "hwmodels/job_graph.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

using Clock = std::chrono::steady_clock;

/// An older cache has the weights that the jobs of several tasks share once for each.
constexpr std::string_view kSharedWeights = "shared-";

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

bool BatchEvaluation::Group::measured() const {
  return std::all_of(trainings.begin(), trainings.end(),
                     [](const Training* training) { return training->outcome.has_value(); });
}

bool BatchEvaluation::Group::failed() const {
  return std::any_of(trainings.begin(), trainings.end(),
                     [](const Training* training) { return training->outcome && training->outcome->failed; });
}

std::int64_t BatchEvaluation::Plan::cost(const Group& group) const {
  return std::count_if(group.trainings.begin(), group.trainings.end(),
                       [&](const Training* training) { return !training->outcome && !trainings.contains(training); });
}

bool BatchEvaluation::Plan::add(const Group& group) {
  const std::int64_t added = cost(group);
  if (added > left) {
    return false;
  }
  left -= added;
  std::copy_if(group.trainings.begin(), group.trainings.end(), std::inserter(trainings, trainings.end()),
               [](const Training* training) { return !training->outcome; });
  return true;
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
  evaluator_.recall(history_);
  if (campaign_.accuracy == AccuracyKind::none) {
    return;  // histories of cost-only campaigns are long and tell nothing here
  }
  for (const TrialRow& row : history_) {
    std::vector<TrainingOutcome> outcomes = outcomes_of(campaign_, row);
    if (outcomes.empty()) {
      continue;
    }
    const std::vector<std::string> identities = training_identities(row.network_hash, row.fidelity);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      known_.try_emplace(identities.at(i), std::move(outcomes[i]));
    }
  }
}

bool BatchEvaluation::run() {
  cost_candidates();
  if (stop_.stop_requested()) {
    return false;
  }
  finish_without_training();
  group_rows();
  return train_and_screen();
}

// --- cost ------------------------------------------------------------------------------------------------------

void BatchEvaluation::cost_candidates() {
  for_each_parallel(std::ssize(batch_), [&](std::int64_t row) { describe(static_cast<std::size_t>(row)); });
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
  for_each_parallel(std::ssize(missing), [&](std::int64_t i) {
    const Clock::time_point start = Clock::now();
    const std::size_t row = missing[static_cast<std::size_t>(i)];
    costs[row] = priced(row);
    candidates_[row].seconds += seconds_since(start);
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
  candidate.networks = evaluator_.space_.decode(genome);
  candidate.jobs = evaluator_.jobs(candidate.networks);
  candidate.network_hash = joined_hashes(candidate.networks);
  candidate.hardware_hash = hex(hash(evaluator_.space_.hardware_part(genome)));
  if (candidate.jobs.size() > candidate.networks.size()) {
    candidate.cost_key = kSharedWeights;
  }
  for (const Job& job : candidate.jobs) {
    candidate.cost_key += hex(hash(job)) + "-";
  }
  candidate.cost_key += fmt::format("{}-{}", candidate.hardware_hash,
                                    hex(Hasher().add(evaluator_.space_.target().fingerprint()).value()));
  for (const Job& job : candidate.jobs) {
    candidate.counts["macs"] += static_cast<double>(graph::total_counts(job_graph(job)).macs);
  }
  for (const double params : job_params(candidate.jobs)) {
    candidate.counts["params"] += params;
  }
  candidate.seconds = seconds_since(start);
}

Store::CachedCost BatchEvaluation::priced(std::size_t row) const {
  const Expected<Cost, Infeasible> cost = evaluator_.cost(candidates_[row].jobs, batch_[row].genome);
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
  candidate.metrics = candidate.counts;
  for (const auto& [name, value] : cost.metrics) {
    candidate.metrics[name] = value;  // the model's own counts, where it has some, are for its batch
  }
  candidate.fits = !cost.infeasible;
  candidate.violations = cost.violations;
  candidate.reason = cost.reason;
}

bool BatchEvaluation::feasible(const Candidate& candidate) const {
  return candidate.fits && broken_constraints(campaign_, candidate.metrics).empty();
}

void BatchEvaluation::finish_without_training() {
  for (std::size_t row = 0; row < batch_.size(); ++row) {
    const TrialRow& trial = batch_[row];
    if (trial.pending && (!feasible(candidates_[row]) || !evaluator_.trains(trial.fidelity))) {
      conclude(row, candidates_[row].metrics);
      finish(row);
    }
  }
}

// --- which networks to train -----------------------------------------------------------------------------------

void BatchEvaluation::group_rows() {
  std::map<std::string, Group*> group_of;
  std::map<std::string, Training*> training_of;
  for (std::size_t row = 0; row < batch_.size(); ++row) {
    if (!feasible(candidates_[row]) || !evaluator_.trains(batch_[row].fidelity)) {
      continue;
    }
    if (evaluator_.supernets_ != nullptr) {
      evaluator_.supernets_->expect(batch_[row].genome);
    }
    const std::vector<std::string> identities =
        training_identities(candidates_[row].network_hash, batch_[row].fidelity);
    Group*& group = group_of[fmt::format("{}", fmt::join(identities, " "))];
    if (group == nullptr) {
      group = &groups_.emplace_back();
      for (std::size_t i = 0; i < identities.size(); ++i) {
        Training*& training = training_of[identities[i]];
        if (training == nullptr) {
          training = &trainings_.emplace_back();
          training->index = i;
          const auto known = known_.find(identities[i]);
          if (known != known_.end()) {
            training->outcome = known->second;
          }
        }
        group->trainings.push_back(training);
      }
    }
    group->rows.push_back(row);
    for (Training* training : group->trainings) {
      training->rows.push_back(row);
    }
  }
}

bool BatchEvaluation::train_and_screen() {
  std::vector<Group*> groups;
  for (Group& group : groups_) {
    groups.push_back(&group);
  }
  constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();
  const auto trained = static_cast<std::int64_t>(known_.size());
  Plan plan{campaign_.trainings > 0 ? std::max<std::int64_t>(0, campaign_.trainings - trained) : kNoLimit};
  const std::int64_t unscreened =
      campaign_.screen.predictor.empty() ? kNoLimit : std::max<std::int64_t>(1, campaign_.screen.warmup) - trained;
  std::vector<Group*> first;
  std::vector<Group*> rest;
  for (Group* group : unknown_of(groups)) {
    const bool early = static_cast<std::int64_t>(plan.trainings.size()) < unscreened;
    (early && plan.add(*group) ? first : rest).push_back(group);
  }
  if (!train_all(first)) {
    return false;
  }
  return train_all(chosen(unknown_of(rest), {plan.left}));
}

std::vector<BatchEvaluation::Group*> BatchEvaluation::unknown_of(const std::vector<Group*>& groups) {
  std::vector<Group*> unknown;
  for (Group* group : groups) {
    if (group->measured()) {
      finish_measured(*group);
    } else {
      unknown.push_back(group);
    }
  }
  return unknown;
}

// --- finishing ---------------------------------------------------------------------------------------------------

Metrics BatchEvaluation::learned(const Group& group) const {
  std::vector<Metrics> networks;
  for (const Training* training : group.trainings) {
    networks.push_back(training->outcome->metrics);
  }
  return combined_metrics(campaign_, networks);
}

Metrics BatchEvaluation::predicted(const Group& group) const {
  std::vector<Metrics> networks;
  for (const Prediction& prediction : group.predictions) {
    networks.push_back({{"predicted_error", prediction.mean}});
  }
  return networks.empty() ? Metrics{} : combined_metrics(campaign_, networks);
}

void BatchEvaluation::price_by_routing(const Group& group) {
  Routing routing;
  for (const Training* training : group.trainings) {
    routing.push_back(training->outcome->routing);
  }
  if (std::all_of(routing.begin(), routing.end(), [](const graph::Histograms& own) { return own.empty(); })) {
    return;
  }
  for (const std::size_t row : group.rows) {
    Candidate& candidate = candidates_[row];
    candidate.jobs = evaluator_.jobs(candidate.networks, routing);
    take_cost(row, priced(row));
    candidate.routing = routing;
    if (!candidate.fits) {
      candidate.reason = "with the tokens that its trained routers send: " + candidate.reason;
    }
  }
}

void BatchEvaluation::finish_measured(Group& group) {
  price_by_routing(group);
  Metrics more = learned(group);
  more.merge(predicted(group));
  std::string failures;
  double seconds = 0.0;
  for (std::size_t i = 0; i < group.trainings.size(); ++i) {
    Training& training = *group.trainings[i];
    if (training.outcome->failed) {
      const std::string& name = campaign_.networks[i].name;
      failures += (failures.empty() ? "" : "; ") + (name.empty() ? "" : name + ": ") + training.outcome->reason;
    }
    const std::lock_guard guard(mutex_);
    seconds += std::exchange(training.seconds, 0.0);
  }
  for (const std::size_t row : group.rows) {
    TrialRow& trial = batch_[row];
    if (!trial.pending) {
      continue;
    }
    Metrics metrics = candidates_[row].metrics;
    metrics.insert(more.begin(), more.end());
    if (!group.failed()) {
      conclude(row, std::move(metrics));
    } else {
      trial.state = TrialState::failed;
      trial.metrics = std::move(metrics);
      trial.reason = failures;
    }
    candidates_[row].seconds += std::exchange(seconds, 0.0);  // the first row pays for all
    finish(row);
  }
}

void BatchEvaluation::finish_screened(const Group& group, const std::string& why) {
  const Metrics prediction = predicted(group);
  for (const std::size_t row : group.rows) {
    TrialRow& trial = batch_[row];
    if (!trial.pending) {
      continue;
    }
    trial.state = TrialState::screened;
    trial.metrics = candidates_[row].metrics;
    trial.reason = why;
    if (!prediction.empty()) {
      trial.metrics.insert(prediction.begin(), prediction.end());
      const std::vector<double> errors = predicted_errors(campaign_, trial.metrics);
      set_violation(trial, broken_constraints(campaign_, with_errors(campaign_, trial.metrics, errors)));
    }
    finish(row);
  }
}

void BatchEvaluation::conclude(std::size_t row, Metrics metrics) {
  TrialRow& trial = batch_[row];
  const Candidate& candidate = candidates_[row];
  const std::vector<Violation> broken = broken_constraints(campaign_, metrics);
  trial.metrics = std::move(metrics);
  trial.state = candidate.fits && broken.empty() ? TrialState::complete : TrialState::infeasible;
  trial.reason = candidate.reason;
  if (!broken.empty()) {
    trial.reason += (trial.reason.empty() ? "" : "; ") + constraint_text(broken);
  }
  std::vector<Violation> violations = candidate.violations;
  violations.insert(violations.end(), broken.begin(), broken.end());
  set_violation(trial, violations);
}

void BatchEvaluation::finish(std::size_t row) {
  TrialRow& trial = batch_[row];
  const std::lock_guard guard(mutex_);
  trial.pending = false;
  trial.network_hash = candidates_[row].network_hash;
  trial.hardware_hash = candidates_[row].hardware_hash;
  trial.routing = candidates_[row].routing;
  trial.duration_s = candidates_[row].seconds;
  evaluator_.store_.finish(campaign_id_, trial);
  if (events_.finished) {
    events_.finished(trial);
  }
}

}  // namespace cosearch
