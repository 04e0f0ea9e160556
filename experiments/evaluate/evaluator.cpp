#include "experiments/evaluate/evaluator.hpp"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "experiments/evaluate/batch_evaluation.hpp"
#include "experiments/evaluate/learning.hpp"
#include "experiments/evaluate/network_jobs.hpp"
#include "experiments/evaluate/objectives.hpp"
#include "experiments/evaluate/training_outcome.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch {

namespace {

/// What is known of networks with mixtures, beside their metrics: an older cache lacks it.
constexpr std::string_view kRoutingVersion = "routing";

}  // namespace

Evaluator::Evaluator(const Campaign& campaign, const JointSpace& space, CampaignData data, Store& store,
                     Supernets* supernets)
    : campaign_(campaign), space_(space), data_(std::move(data)), store_(store), supernets_(supernets) {}

bool Evaluator::evaluate(std::int64_t campaign_id, const std::vector<TrialRow>& history, std::vector<TrialRow>& batch,
                         const Events& events, std::stop_token stop) {
  COSEARCH_CHECK(!data_.empty() || campaign_.accuracy == AccuracyKind::none, "training needs data");
  return BatchEvaluation(*this, campaign_id, history, batch, events, std::move(stop)).run();
}

void Evaluator::recall(const std::vector<TrialRow>& rows) {
  if (supernets_ == nullptr) {
    return;
  }
  for (const TrialRow& row : rows) {
    // Of the feasible ones by cost also those that were screened, or found infeasible by what they learned: which were
    // scored follows from other scores, and then not in the order of the rows.
    if (trains(row.fidelity) && (row.state != TrialState::infeasible || was_trained(row))) {
      supernets_->expect(row.genome);
    }
  }
}

bool Evaluator::prepare_final(const std::vector<TrialRow>& rows, const Supernets::Events& events,
                              const std::stop_token& stop) {
  if (!campaign_.final_stage.from_supernet) {
    return true;
  }
  COSEARCH_CHECK(supernets_ != nullptr, "weights of a supernet need one");
  for (const TrialRow& row : rows) {
    for (std::size_t i = 0; i < campaign_.networks.size(); ++i) {
      if (!supernets_->train(i, row.genome, events, stop)) {
        return false;
      }
    }
  }
  return true;
}

Trial Evaluator::to_trial(const TrialRow& row) const {
  COSEARCH_CHECK(!row.pending, "a pending trial has nothing to tell");
  Trial trial;
  trial.id = row.id;
  trial.proposal = {row.genome, row.fidelity, std::nullopt};
  trial.state = row.state;
  trial.violation = row.violation;
  if (row.state == TrialState::failed) {
    trial.violation = std::numeric_limits<double>::infinity();
    return trial;
  }
  const std::vector<double> predicted = predicted_errors(campaign_, row.metrics);
  trial.objectives = row.state == TrialState::screened && !predicted.empty()
                         ? objectives_of(campaign_, with_errors(campaign_, row.metrics, predicted))
                         : objectives_of(campaign_, row.metrics);
  if (trial.objectives.empty() && trial.violation == 0.0) {
    trial.violation = std::numeric_limits<double>::infinity();  // screened without a prediction
  }
  return trial;
}

Expected<Cost, Infeasible> Evaluator::explain(const Genome& joint, const Routing& routing) const {
  return cost(jobs(space_.decode(joint), routing), joint);
}

std::uint64_t Evaluator::training_seed(const graph::NetworkGraph& network) const {
  return Hasher().add(campaign_.seed).add(graph::hash(network)).value();
}

std::string Evaluator::accuracy_key(std::size_t index, const graph::NetworkGraph& network, const TrainOptions& recipe,
                                    const std::optional<quantize::QuantizeRecipe>& quantize,
                                    std::uint64_t origin) const {
  COSEARCH_CHECK(index < data_.size(), "an accuracy needs data");
  Hasher hasher;
  hasher.add(to_json(recipe).dump()).add(learning_hash(learning(index)));
  hasher.add(trainer_fingerprint()).add(training_seed(network));
  if (origin != 0) {
    hasher.add(origin);
  }
  if (quantize) {
    hasher.add(quantize_fingerprint(*quantize));
  }
  if (graph::has_mixture(network)) {
    hasher.add(kRoutingVersion);
  }
  return fmt::format("{}-{}", hex(graph::hash(network)), hex(hasher.value()));
}

std::string Evaluator::one_shot_key(std::size_t index, const graph::NetworkGraph& network, const Genome& joint) const {
  COSEARCH_CHECK(supernets_ != nullptr, "a one-shot accuracy needs a supernet");
  const CampaignNetwork& about = campaign_.networks[index];
  Hasher hasher;
  hasher.add(std::string_view("one_shot")).add(supernets_->fingerprint(index, joint)).add(trainer_fingerprint());
  hasher.add(about.one_shot.calibration_samples).add(about.train.evaluate_samples);
  if (!about.tasks.empty()) {
    hasher.add(learning_hash(learning(index)));  // delta_m has baselines, of which the supernet knows nothing
  }
  if (graph::has_mixture(network)) {
    hasher.add(kRoutingVersion);
  }
  return fmt::format("{}-{}", hex(graph::hash(network)), hex(hasher.value()));
}

Evaluator::InitialWeights Evaluator::final_weights(std::size_t index, const graph::NetworkGraph& network,
                                                   const Genome& joint) const {
  InitialWeights initial{initial_weights(learning(index), network, training_seed(network)), 0};
  if (campaign_.final_stage.from_supernet) {
    COSEARCH_CHECK(supernets_ != nullptr, "weights of a supernet need one");
    if (supernets_->scorer(index, joint).initialize(network, initial.weights)) {
      initial.origin = supernets_->fingerprint(index, joint);
    }
  }
  return initial;
}

std::vector<Job> Evaluator::jobs(const std::vector<graph::NetworkGraph>& networks, const Routing& routing) const {
  return network_jobs(networks, {.model = {}, .batch = campaign_.batch, .types = campaign_.types}, routing);
}

Expected<Cost, Infeasible> Evaluator::cost(const std::vector<Job>& jobs, const Genome& joint) const {
  Expected<std::unique_ptr<const Model>, Infeasible> model = space_.target().build(space_.hardware_part(joint));
  if (!model) {
    return Unexpected{model.error()};
  }
  return model.value()->evaluate(jobs);
}

bool Evaluator::trains(const Fidelity& fidelity) const {
  return campaign_.accuracy != AccuracyKind::none && fidelity.kind != FidelityKind::cost;
}

TrainOptions Evaluator::recipe(std::size_t index, const Fidelity& fidelity) const {
  TrainOptions options = campaign_.networks[index].train;
  if (fidelity.kind == FidelityKind::epochs) {
    options.epochs = fidelity.epochs;
  } else {
    COSEARCH_CHECK(fidelity.kind == FidelityKind::full, "a training is full or of some epochs");
  }
  return options;
}

std::int64_t count_trainings(const std::vector<TrialRow>& rows) {
  std::set<std::string> trained;
  for (const TrialRow& row : rows) {
    if (was_trained(row)) {
      for (std::string& identity : training_identities(row.network_hash, row.fidelity)) {
        trained.insert(std::move(identity));
      }
    }
  }
  return static_cast<std::int64_t>(trained.size());
}

}  // namespace cosearch
