#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "experiments/config/campaign.hpp"
#include "experiments/store/store.hpp"

namespace cosearch {

/// One of a campaign's networks and what it learns from: training the same way, whether it has one task or several.
struct Learning {
  const CampaignNetwork& about;
  const NetworkData& data;
};

/// Weights that a training of the network begins with.
[[nodiscard]] WeightStore initial_weights(const Learning& learning, const graph::NetworkGraph& network,
                                          std::uint64_t seed);

/// Accuracy and error of scores, one for each task; of several tasks also what training_metrics says of each, and
/// delta_m.
[[nodiscard]] Metrics score_metrics(const Learning& learning, const std::vector<TaskScore>& scores);

/// What one training found.
struct LearningResult {
  bool stopped = false;  ///< nothing was found
  Metrics metrics = {};  ///< `training_metrics` on the search split
  /// Of each task, of one alone too, where it is quantised: see quantize::QuantizedTasks.
  std::vector<std::vector<quantize::ValueRange>> ranges = {};
  graph::Histograms routing = {};  ///< where tokens go on the search split, see task_routing
};
/// Trains `weights`, and quantises them by `quantize`. Infeasible: the training diverged. @throws as
/// quantize::train_quantized and quantize::train_quantized_tasks do.
[[nodiscard]] Expected<LearningResult, Infeasible> learn(const Learning& learning, const graph::NetworkGraph& network,
                                                         const TrainOptions& recipe,
                                                         const std::optional<quantize::QuantizeRecipe>& quantize,
                                                         std::uint64_t seed, WeightStore& weights,
                                                         const ProgressSink& progress, const std::stop_token& stop,
                                                         const Checkpoint& checkpoint = {});

/// test_accuracy of trained weights, of the integers where there are ranges; of several tasks 1 - their mean error, and
/// test_accuracy_<task> or test_rmse_<task> of each.
[[nodiscard]] Metrics test_metrics(const Learning& learning, const graph::NetworkGraph& network,
                                   const WeightStore& weights,
                                   const std::vector<std::vector<quantize::ValueRange>>& ranges,
                                   kernels::Precision precision);

/// Of everything beside network, recipe and seed that decides what `learn` tells: data, tasks, baselines.
[[nodiscard]] std::uint64_t learning_hash(const Learning& learning);

/// Fills in what Delta_m compares with: of each task its `baseline`, or else what the network `task_baseline` of the
/// space reaches when it learns that task alone by the recipe of candidates, found once and kept in the cache of
/// accuracies. False: stopped before the end. @throws std::runtime_error: such a training diverged, or learned
/// nothing, so that nothing can be compared with it.
[[nodiscard]] bool prepare_baselines(const Campaign& campaign, const JointSpace& space, CampaignData& data,
                                     Store& store, const std::function<void(const std::string& line)>& note,
                                     const std::stop_token& stop);

}  // namespace cosearch
