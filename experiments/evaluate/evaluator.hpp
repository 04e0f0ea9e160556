#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "experiments/config/campaign.hpp"
#include "experiments/evaluate/learning.hpp"
#include "experiments/evaluate/supernets.hpp"
#include "experiments/store/store.hpp"

namespace cosearch {

/// What the two caches saved since the evaluator was made.
struct CacheUse {
  std::int64_t lookups = 0;
  std::int64_t hits = 0;
};

/// Where cost meets accuracy. Costs all candidates of a batch first, the networks of each together; trains only
/// networks of feasible ones that can still matter (screen, budget). In a one-shot campaign a network is not trained
/// but scored with its supernet's weights, and that counts wherever a training does.
///
/// What is trained is a function of the campaign, the trials before the batch and the genomes of the batch; it does not
/// depend on what the caches hold, on threads, or on where an earlier run was interrupted:
///  1. A network that was trained before in this campaign has its accuracy already. Where that is so for all networks
///     of a candidate, its accuracy is known.
///  2. The first `screen.warmup` trainings of a campaign are not screened.
///  3. For the other combinations of networks in the batch, the predictor, fitted for each network of the campaign on
///     all trained before and in step 2, ranks which could add most to the measured front if their errors are as low as
///     mean - std_dev; the networks of the best `screen.share` of them (rounded up) are trained.
/// No step exceeds the campaign's `trainings`. Candidates whose networks are not trained become `screened` with the
/// metric `predicted_error` (where there is a predictor) and the reason.
///
/// Networks with mixtures of experts are costed with evenly spread tokens until they are trained; then their candidates
/// are priced again with the tokens that the trained routers send, and judged by that: a `complete` row's costs are
/// those of its `routing`, and a row may be infeasible for it.
class Evaluator {
 public:
  /// `data` may be empty where nothing is trained, `supernets` (prepared before the first batch; lazy ones are trained
  /// when a batch needs them) null without one-shot accuracy. All references outlive the evaluator.
  Evaluator(const Campaign& campaign, const JointSpace& space, CampaignData data, Store& store,
            Supernets* supernets = nullptr);

  /// What happens to a batch, as it happens; calls are serialised.
  struct Events {
    std::function<void(const TrialRow&)> finished;                ///< after the row was committed
    std::function<void(TrialId, const TrainProgress&)> training;  ///< first trial of the batch with that network
    std::function<void(TrialId)> trained;                         ///< the training of `training` has ended
    Supernets::Events supernets = {};                             ///< of lazy ones; set where there are some
  };
  /// Evaluates pending rows of one batch and stores each when it is done. Rows that are not pending are kept as they
  /// are but count for every decision, so a batch that was interrupted goes on as if it had not been.
  /// `history`: all trials before the batch. False: stopped before the end.
  [[nodiscard]] bool evaluate(std::int64_t campaign_id, const std::vector<TrialRow>& history,
                              std::vector<TrialRow>& batch, const Events& events, std::stop_token stop);

  /// Tells lazy supernets which trials come before all others: rows that are finished, in order.
  void recall(const std::vector<TrialRow>& rows);
  /// Trains what `final_weights` of these rows needs. False: stopped before the end.
  [[nodiscard]] bool prepare_final(const std::vector<TrialRow>& rows, const Supernets::Events& events,
                                   const std::stop_token& stop);

  /// Objectives in minimising form. The trial as the algorithm sees it.
  [[nodiscard]] Trial to_trial(const TrialRow& row) const;

  /// Full cost of one genome with layers, for `show`, `export` and reports. `routing`: where
  /// tokens go in its trained networks; empty: spread evenly.
  [[nodiscard]] Expected<Cost, Infeasible> explain(const Genome& joint, const Routing& routing = {}) const;

  /// Training seed of a network: a function of the campaign's seed and the network's hash only.
  [[nodiscard]] std::uint64_t training_seed(const graph::NetworkGraph& network) const;
  // Below, `index` says which of the campaign's networks it is about.

  /// Key of the accuracy cache: network, recipe, data, trainer and seed; `origin`: the fingerprint of the supernet that
  /// the weights begin with, 0 for random ones. Needs data.
  [[nodiscard]] std::string accuracy_key(std::size_t index, const graph::NetworkGraph& network,
                                         const TrainOptions& recipe,
                                         const std::optional<quantize::QuantizeRecipe>& quantize,
                                         std::uint64_t origin = 0) const;
  /// The same for an accuracy with a supernet's weights: network, supernet, and how it is scored.
  [[nodiscard]] std::string one_shot_key(std::size_t index, const graph::NetworkGraph& network,
                                         const Genome& joint) const;

  /// Needs data.
  [[nodiscard]] Learning learning(std::size_t index) const { return {campaign_.networks[index], data_[index]}; }

  /// What a candidate's final training begins with.
  struct InitialWeights {
    WeightStore weights;
    std::uint64_t origin = 0;  ///< fingerprint of the supernet; 0: random weights
  };
  [[nodiscard]] InitialWeights final_weights(std::size_t index, const graph::NetworkGraph& network,
                                             const Genome& joint) const;

  [[nodiscard]] CacheUse cache_use() const noexcept { return cache_use_; }

 private:
  friend class BatchEvaluation;
  /// One for each network, or for each task of one that routes by task.
  [[nodiscard]] std::vector<Job> jobs(const std::vector<graph::NetworkGraph>& networks,
                                      const Routing& routing = {}) const;
  [[nodiscard]] Expected<Cost, Infeasible> cost(const std::vector<Job>& jobs, const Genome& joint) const;
  /// Whether a proposal of this fidelity is trained, and how.
  [[nodiscard]] bool trains(const Fidelity& fidelity) const;
  [[nodiscard]] TrainOptions recipe(std::size_t index, const Fidelity& fidelity) const;

  const Campaign& campaign_;
  const JointSpace& space_;
  CampaignData data_;
  Store& store_;
  Supernets* supernets_;
  CacheUse cache_use_;
};

/// Number of different networks that the rows' evaluation trained (or took from the cache), diverged ones included.
[[nodiscard]] std::int64_t count_trainings(const std::vector<TrialRow>& rows);

}  // namespace cosearch
