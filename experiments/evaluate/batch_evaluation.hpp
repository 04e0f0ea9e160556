#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "experiments/evaluate/evaluator.hpp"
#include "predictors/predictor.hpp"
#include "search/pareto.hpp"

namespace cosearch {

/// What one training told.
struct TrainingOutcome {
  bool failed = false;
  std::string reason;  ///< of a failed one
  Metrics metrics;     ///< accuracy, error; of a training of its own also train_loss
};

/// Identity of a training within a campaign: network and fidelity.
[[nodiscard]] std::string training_identity(const std::string& network_hash, const Fidelity& fidelity);
/// The outcome that a finished row tells; nothing when its network was not trained.
[[nodiscard]] std::optional<TrainingOutcome> outcome_of(const TrialRow& row);

/// One batch on its way through the evaluator; lives as long as one call of Evaluator::evaluate.
class BatchEvaluation {
 public:
  BatchEvaluation(Evaluator& evaluator, std::int64_t campaign_id, const std::vector<TrialRow>& history,
                  std::vector<TrialRow>& batch, const Evaluator::Events& events, std::stop_token stop);
  [[nodiscard]] bool run();

 private:
  /// What is known of a row before training.
  struct Candidate {
    graph::NetworkGraph network;
    std::string network_hash, hardware_hash, cost_key;
    Metrics metrics;
    std::vector<Violation> violations;
    std::string reason;     ///< of infeasible ones
    bool feasible = false;  ///< by cost
    double seconds = 0.0;
  };
  /// A network of the batch with all rows that use it.
  struct Network {
    std::vector<std::size_t> rows;
    std::optional<TrainingOutcome> outcome;
    std::optional<Prediction> prediction;
    double seconds = 0.0;
  };

  void cost_candidates();
  void describe(std::size_t row);
  [[nodiscard]] Store::CachedCost priced(std::size_t row) const;
  void take_cost(std::size_t row, const Store::CachedCost& cost);
  void finish_without_training();
  void group_networks();
  [[nodiscard]] bool train_and_screen();
  /// The networks worth training, at most `left`; finishes the others.
  [[nodiscard]] std::vector<Network*> chosen(std::vector<Network*> networks, std::int64_t left);
  /// Puts the most promising first and notes the predictions.
  void rank(std::vector<Network*>& networks) const;
  [[nodiscard]] std::unique_ptr<Predictor> fitted_predictor() const;
  [[nodiscard]] Row features(const Genome& joint, const graph::NetworkGraph& network) const;
  [[nodiscard]] std::vector<Point> measured_points() const;
  [[nodiscard]] bool train_all(const std::vector<Network*>& networks);
  void train_one(Network& network);
  /// From the cache, or found anew; nothing when it was stopped.
  [[nodiscard]] std::optional<TrainingOutcome> measured(Network& network);
  [[nodiscard]] std::optional<TrainingOutcome> trained(std::size_t row);
  [[nodiscard]] TrainingOutcome scored(std::size_t row);
  void finish_trained(Network& network);
  void finish_screened(Network& network, const std::string& why);
  void conclude(std::size_t row, Metrics metrics);
  void finish(std::size_t row);

  Evaluator& evaluator_;
  const Campaign& campaign_;
  std::int64_t campaign_id_;
  const std::vector<TrialRow>& history_;
  std::vector<TrialRow>& batch_;
  const Evaluator::Events& events_;
  std::stop_token stop_;
  std::mutex mutex_;  ///< store writes, events, cache counts
  std::vector<Candidate> candidates_;
  std::map<std::string, TrainingOutcome> known_;  ///< of the history, by identity
  std::vector<Network> networks_;                 ///< in order of their first rows
};

}  // namespace cosearch
