#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/multitask/delta_m.hpp"
#include "trainer/multitask/learning_task.hpp"
#include "trainer/net/simulation.hpp"
#include "trainer/store/weight_store.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

struct MultitaskOptions {
  TrainOptions train;
  TaskSampling sampling = TaskSampling::all;
  /// What the tasks' networks are trained and measured under; empty: nothing.
  std::vector<Simulation> simulations = {};
};

struct MultitaskResult {
  std::vector<TaskScore> scores;  ///< of each task, on the evaluated split
  double train_loss = 0.0;        ///< mean over the last epoch of the weighted sum of the tasks' losses
  std::int64_t steps = 0;
  bool stopped = false;  ///< a stop was requested: the figures are not a result
};

/// Untrained weights of the networks of all outputs, each a function of the seed and its name.
[[nodiscard]] WeightStore make_task_weights(const graph::NetworkGraph& graph, std::uint64_t seed);

/// Trains the weights of all tasks' networks (`graph::task_network`) in `store` together. Each step runs a batch of
/// each task of the step through its network, sums the gradients in the order of the tasks, and updates once. A single
/// task of a network with one output gives the weights of train(), to the bit. Threads, progress, stops, checkpoints
/// and `store` as for train(). Scores are those of `split`.
/// @throws ConfigError as check_tasks.
[[nodiscard]] Expected<MultitaskResult, Infeasible> train_tasks(
    const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks, const MultitaskOptions& options,
    std::uint64_t seed, WeightStore& store, Dataset TaskData::*split = &TaskData::search,
    const ProgressSink& progress = {}, const std::stop_token& stop = {}, const Checkpoint& checkpoint = {});

/// The scores of trained weights on a split (first `samples`, 0 = all).
[[nodiscard]] std::vector<TaskScore> evaluate_tasks(const graph::NetworkGraph& graph,
                                                    const std::vector<LearningTask>& tasks, Dataset TaskData::*split,
                                                    const WeightStore& store, std::int64_t samples = 0,
                                                    Precision precision = Precision::fp32);

/// Where tokens go in the network of each output with trained weights, see task_routing of TaskWeights.
[[nodiscard]] graph::Histograms task_routing(const graph::NetworkGraph& graph, const TaskData& images,
                                             const Dataset& split, const WeightStore& store,
                                             Precision precision = Precision::fp32);

}  // namespace cosearch
