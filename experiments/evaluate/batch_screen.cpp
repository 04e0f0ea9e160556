// The part of BatchEvaluation that judges networks before they are trained.
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <variant>

#include "experiments/evaluate/batch_evaluation.hpp"
#include "experiments/evaluate/objectives.hpp"
#include "experiments/evaluate/screen.hpp"

namespace cosearch {

void BatchEvaluation::rank(std::vector<Network*>& networks) const {
  const std::unique_ptr<Predictor> predictor = fitted_predictor();
  if (predictor == nullptr) {
    return;  // nothing to learn from: the order of the trials
  }
  std::vector<ScreenCandidate> candidates;
  for (Network* network : networks) {
    const std::size_t first = network->rows.front();
    Prediction prediction = predictor->predict(features(batch_[first].genome, candidates_[first].network));
    prediction.mean = std::clamp(prediction.mean, 0.0, 1.0);
    network->prediction = prediction;
    ScreenCandidate candidate;
    candidate.optimistic_error = std::max(0.0, prediction.mean - prediction.std_dev);
    for (const std::size_t row : network->rows) {
      Point point = objectives_of(campaign_, with_error(candidates_[row].metrics, candidate.optimistic_error));
      if (!point.empty()) {
        candidate.points.push_back(std::move(point));
      }
    }
    candidates.push_back(std::move(candidate));
  }
  std::vector<Network*> sorted;
  for (const std::size_t index : rank_by_hypervolume_gain(measured_points(), candidates)) {
    sorted.push_back(networks[index]);
  }
  networks = std::move(sorted);
}

std::unique_ptr<Predictor> BatchEvaluation::fitted_predictor() const {
  if (campaign_.screen.predictor.empty()) {
    return nullptr;
  }
  std::vector<Row> rows;
  std::vector<double> errors;
  std::set<std::string> seen;
  for (const TrialRow& row : history_) {
    const std::optional<TrainingOutcome> outcome = outcome_of(row);
    if (outcome && !outcome->failed && seen.insert(training_identity(row.network_hash, row.fidelity)).second) {
      rows.push_back(features(row.genome, evaluator_.network(row.genome)));
      errors.push_back(outcome->metrics.at("error"));
    }
  }
  for (const Network& network : networks_) {
    const std::size_t first = network.rows.front();
    const std::string key = training_identity(candidates_[first].network_hash, batch_[first].fidelity);
    if (network.outcome && !network.outcome->failed && seen.insert(key).second) {
      rows.push_back(features(batch_[first].genome, candidates_[first].network));
      errors.push_back(network.outcome->metrics.at("error"));
    }
  }
  if (rows.empty()) {
    return nullptr;
  }
  std::unique_ptr<Predictor> predictor = make_predictor(campaign_.screen.predictor, campaign_.screen.options);
  predictor->fit(rows, errors);
  return predictor;
}

Row BatchEvaluation::features(const Genome& joint, const graph::NetworkGraph& network) const {
  Row row = evaluator_.space_.space().params().features(evaluator_.space_.network_part(joint));
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
  for (const Network& network : networks_) {
    if (!network.outcome || network.outcome->failed) {
      continue;
    }
    for (const std::size_t row : network.rows) {
      Metrics metrics = candidates_[row].metrics;
      metrics.insert(network.outcome->metrics.begin(), network.outcome->metrics.end());
      if (broken_constraints(campaign_, metrics).empty()) {
        points.push_back(objectives_of(campaign_, metrics));
      }
    }
  }
  std::erase_if(points, [](const Point& point) { return point.empty(); });
  return points;
}

}  // namespace cosearch
