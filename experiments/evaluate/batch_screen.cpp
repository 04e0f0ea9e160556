// The part of BatchEvaluation that judges networks before they are trained.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>
#include <variant>

#include "experiments/evaluate/batch_evaluation.hpp"
#include "experiments/evaluate/objectives.hpp"
#include "experiments/evaluate/screen.hpp"

namespace cosearch {

std::vector<BatchEvaluation::Group*> BatchEvaluation::chosen(std::vector<Group*> groups, Plan plan) {
  if (groups.empty()) {
    return groups;
  }
  rank(groups);
  // The small number keeps 0.1 * 30 = 3.0000000000000004 from being rounded up to 4.
  const std::size_t share =
      campaign_.screen.predictor.empty()
          ? groups.size()
          : static_cast<std::size_t>(std::ceil(campaign_.screen.share * static_cast<double>(groups.size()) - 1e-9));
  std::vector<Group*> taken;
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (i < share && plan.add(*groups[i])) {
      taken.push_back(groups[i]);
    } else {
      others.push_back(i);
    }
  }
  for (const std::size_t i : others) {
    Group& group = *groups[i];
    if (plan.cost(group) == 0) {  // all of its networks are trained for others
      taken.push_back(&group);
      continue;
    }
    std::string why = "screened";
    if (!group.predictions.empty()) {
      Prediction sum;
      for (std::size_t k = 0; k < group.predictions.size(); ++k) {
        sum.mean += campaign_.networks[k].weight * group.predictions[k].mean;
        sum.std_dev += campaign_.networks[k].weight * group.predictions[k].std_dev;
      }
      why += fmt::format(": predicted error {:.4f} +- {:.4f}, ranked {} of {}", sum.mean, sum.std_dev, i + 1,
                         groups.size());
    }
    if (i < share) {
      why += fmt::format("; the budget of {} trainings is used up", campaign_.trainings);
    }
    finish_screened(group, why);
  }
  return taken;
}

void BatchEvaluation::rank(std::vector<Group*>& groups) const {
  const std::vector<std::unique_ptr<Predictor>> predictors = fitted_predictors();
  if (predictors.empty()) {
    return;  // nothing to learn from: the order of the trials
  }
  std::vector<ScreenCandidate> candidates;
  for (Group* group : groups) {
    const std::size_t first = group->rows.front();
    ScreenCandidate candidate;
    std::vector<double> errors;  // optimistic ones
    for (std::size_t i = 0; i < predictors.size(); ++i) {
      Prediction prediction = predictors[i]->predict(features(batch_[first].genome, candidates_[first].networks[i], i));
      prediction.mean = std::clamp(prediction.mean, 0.0, 1.0);
      group->predictions.push_back(prediction);
      errors.push_back(std::max(0.0, prediction.mean - prediction.std_dev));
      candidate.optimistic_error += campaign_.networks[i].weight * errors.back();
    }
    for (const std::size_t row : group->rows) {
      Point point = objectives_of(campaign_, with_errors(campaign_, candidates_[row].metrics, errors));
      if (!point.empty()) {
        candidate.points.push_back(std::move(point));
      }
    }
    candidates.push_back(std::move(candidate));
  }
  std::vector<Group*> sorted;
  for (const std::size_t index : rank_by_hypervolume_gain(measured_points(), candidates)) {
    sorted.push_back(groups[index]);
  }
  groups = std::move(sorted);
}

std::vector<std::unique_ptr<Predictor>> BatchEvaluation::fitted_predictors() const {
  std::vector<std::unique_ptr<Predictor>> predictors;
  for (std::size_t i = 0; i < campaign_.networks.size(); ++i) {
    predictors.push_back(fitted_predictor(i));
    if (predictors.back() == nullptr) {
      return {};
    }
  }
  return predictors;
}

std::unique_ptr<Predictor> BatchEvaluation::fitted_predictor(std::size_t index) const {
  if (campaign_.screen.predictor.empty()) {
    return nullptr;
  }
  std::vector<Row> rows;
  std::vector<double> errors;
  std::set<std::string> seen;
  for (const TrialRow& row : history_) {
    const std::vector<TrainingOutcome> outcomes = outcomes_of(campaign_, row);
    if (!outcomes.empty() && !outcomes[index].failed &&
        seen.insert(training_identities(row.network_hash, row.fidelity)[index]).second) {
      rows.push_back(features(row.genome, evaluator_.space_.decode(row.genome)[index], index));
      errors.push_back(outcomes[index].metrics.at("error"));
    }
  }
  for (const Training& training : trainings_) {
    const std::size_t first = training.rows.front();
    if (training.index == index && training.outcome && !training.outcome->failed &&
        seen.insert(training_identities(candidates_[first].network_hash, batch_[first].fidelity)[index]).second) {
      rows.push_back(features(batch_[first].genome, candidates_[first].networks[index], index));
      errors.push_back(training.outcome->metrics.at("error"));
    }
  }
  if (rows.empty()) {
    return nullptr;
  }
  std::unique_ptr<Predictor> predictor = make_predictor(campaign_.screen.predictor, campaign_.screen.options);
  predictor->fit(rows, errors);
  return predictor;
}

Row BatchEvaluation::features(const Genome& joint, const graph::NetworkGraph& network, std::size_t index) const {
  Row row = evaluator_.space_.space(index).params().features(evaluator_.space_.network_part(joint, index));
  const graph::NodeCounts counts = graph::total_counts(network);
  row.push_back(std::log1p(static_cast<double>(counts.macs)));
  row.push_back(std::log1p(static_cast<double>(counts.parameters)));
  // Depth, by the operators that hold weights.
  double convolutions = 0.0;
  double linears = 0.0;
  double attentions = 0.0;
  for (const graph::Node& node : network.nodes) {
    convolutions += std::holds_alternative<graph::Conv2d>(node.op) ? 1.0 : 0.0;
    linears += std::holds_alternative<graph::Linear>(node.op) ? 1.0 : 0.0;
    attentions += std::holds_alternative<graph::MultiHeadAttention>(node.op) ? 1.0 : 0.0;
  }
  row.insert(row.end(), {convolutions, linears, attentions});
  return row;
}

std::vector<Point> BatchEvaluation::measured_points() const {
  std::vector<Point> points;
  for (const TrialRow& row : history_) {
    if (!row.pending && row.state == TrialState::complete) {
      points.push_back(objectives_of(campaign_, row.metrics));
    }
  }
  // Of the batch only what was known or trained before the screen, whether or not an interrupted run got further.
  for (const Group& group : groups_) {
    if (!group.measured() || group.failed()) {
      continue;
    }
    const Metrics more = learned(group);
    for (const std::size_t row : group.rows) {
      Metrics metrics = candidates_[row].metrics;
      metrics.insert(more.begin(), more.end());
      if (candidates_[row].fits && broken_constraints(campaign_, metrics).empty()) {
        points.push_back(objectives_of(campaign_, metrics));
      }
    }
  }
  std::erase_if(points, [](const Point& point) { return point.empty(); });
  return points;
}

}  // namespace cosearch
