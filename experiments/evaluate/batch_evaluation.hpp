#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "experiments/evaluate/evaluator.hpp"
#include "experiments/evaluate/training_outcome.hpp"
#include "predictors/predictor.hpp"
#include "search/pareto.hpp"

namespace cosearch {

/// One batch on its way through the evaluator; lives as long as one call of Evaluator::evaluate.
class BatchEvaluation {
 public:
  BatchEvaluation(Evaluator& evaluator, std::int64_t campaign_id, const std::vector<TrialRow>& history,
                  std::vector<TrialRow>& batch, const Evaluator::Events& events, std::stop_token stop);
  [[nodiscard]] bool run();

 private:
  /// What is known of a row before training.
  struct Candidate {
    std::vector<graph::NetworkGraph> networks;
    std::vector<Job> jobs;
    std::string network_hash, hardware_hash, cost_key;
    Metrics counts;                     ///< of its networks, whatever the hardware
    Metrics metrics;                    ///< these and the costs; once its routers are trained, as they send the tokens
    Routing routing;                    ///< by which these are
    bool fits = false;                  ///< the hardware runs it
    std::vector<Violation> violations;  ///< where it does not
    std::string reason;                 ///< the same
    double seconds = 0.0;
  };
  /// A network at a fidelity, wherever the batch uses it.
  struct Training {
    std::size_t index = 0;          ///< which of the campaign's networks it is
    std::vector<std::size_t> rows;  ///< that use it
    std::optional<TrainingOutcome> outcome;
    double seconds = 0.0;  ///< not yet charged to a row
  };
  /// The rows whose networks are the same, on whatever hardware.
  struct Group {
    std::vector<std::size_t> rows;
    std::vector<Training*> trainings;     ///< one for each of the campaign's networks
    std::vector<Prediction> predictions;  ///< the same; empty: not asked for

    /// All of its trainings have ended.
    [[nodiscard]] bool measured() const;
    /// One of them without a result.
    [[nodiscard]] bool failed() const;
  };
  /// Trainings that are decided on.
  struct Plan {
    std::int64_t left = 0;  ///< how many more the budget allows
    std::set<const Training*> trainings = {};

    /// How many the group would add.
    [[nodiscard]] std::int64_t cost(const Group& group) const;
    /// False, and nothing changed, when they exceed the budget.
    [[nodiscard]] bool add(const Group& group);
  };

  void cost_candidates();
  void describe(std::size_t row);
  [[nodiscard]] Store::CachedCost priced(std::size_t row) const;
  /// Fits, and breaks no constraint on costs.
  [[nodiscard]] bool feasible(const Candidate& candidate) const;
  void take_cost(std::size_t row, const Store::CachedCost& cost);
  void finish_without_training();
  void group_rows();
  [[nodiscard]] bool train_and_screen();
  /// Finishes the groups whose networks are all known and gives the others.
  [[nodiscard]] std::vector<Group*> unknown_of(const std::vector<Group*>& groups);
  /// The groups worth training within the plan; finishes the others.
  [[nodiscard]] std::vector<Group*> chosen(std::vector<Group*> groups, Plan plan);
  /// Puts the most promising first and notes the predictions.
  void rank(std::vector<Group*>& groups) const;
  /// One for each of the campaign's networks; none where one of them has nothing to learn from.
  [[nodiscard]] std::vector<std::unique_ptr<Predictor>> fitted_predictors() const;
  [[nodiscard]] std::unique_ptr<Predictor> fitted_predictor(std::size_t index) const;
  [[nodiscard]] Row features(const Genome& joint, const graph::NetworkGraph& network, std::size_t index) const;
  [[nodiscard]] Metrics learned(const Group& group) const;
  [[nodiscard]] std::vector<Point> measured_points() const;
  [[nodiscard]] bool train_all(const std::vector<Group*>& groups);
  /// Trains the lazy supernets of what neither the batch nor the cache knows. False: stopped before the end.
  [[nodiscard]] bool prepare_supernets(const std::vector<Training*>& trainings);
  void train_one(Training& training, const std::vector<Group*>& groups);
  /// What a row of the batch tells that was finished before an interruption.
  [[nodiscard]] std::optional<TrainingOutcome> finished_before(const Training& training) const;
  [[nodiscard]] std::string key_of(const Training& training) const;
  /// From the cache, or found anew; nothing when it was stopped.
  [[nodiscard]] std::optional<TrainingOutcome> measured(Training& training);
  [[nodiscard]] std::optional<TrainingOutcome> trained(const Training& training);
  [[nodiscard]] TrainingOutcome scored(const Training& training);
  void finish_measured(Group& group);
  /// Prices the group's rows again, with tokens as its trained networks send them, where they have mixtures.
  void price_by_routing(const Group& group);
  [[nodiscard]] Metrics predicted(const Group& group) const;
  void finish_screened(const Group& group, const std::string& why);
  void conclude(std::size_t row, Metrics metrics);
  void finish(std::size_t row);

  Evaluator& evaluator_;
  const Campaign& campaign_;
  std::int64_t campaign_id_;
  const std::vector<TrialRow>& history_;
  std::vector<TrialRow>& batch_;
  const Evaluator::Events& events_;
  std::stop_token stop_;
  std::mutex mutex_;  ///< store writes, events, cache counts, outcomes
  std::vector<Candidate> candidates_;
  std::map<std::string, TrainingOutcome> known_;  ///< of the history, by identity
  std::deque<Training> trainings_;                ///< in order of their first rows
  std::deque<Group> groups_;                      ///< the same
};

}  // namespace cosearch
