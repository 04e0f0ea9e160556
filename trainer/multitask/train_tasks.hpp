#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/multitask/delta_m.hpp"
#include "trainer/net/simulation.hpp"
#include "trainer/store/weight_store.hpp"
#include "trainer/train/train.hpp"

/// One network, several tasks on the same images: each runs through a network of its own, whose weights are slices of
/// common ones.
namespace cosearch {

/// What one output of a network learns.
struct LearningTask {
  std::string name;
  std::shared_ptr<const TaskData> data;
  int output = 0;                         ///< of the network, in the order of NetworkGraph::outputs
  double weight = 1.0;                    ///< of its loss
  std::vector<float> class_weights = {};  ///< of its labels, see Targets; empty: 1
  kernels::RegressionLoss regression = kernels::RegressionLoss::squared;
};

/// Which tasks a step learns: all of them, or one, drawn in proportion to the weights, whose loss then counts with the
/// sum of all weights, so that the mean gradient is the same.
enum class TaskSampling { all, one };

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

/// @throws ConfigError, in one line: no task, a task without data or training samples, tasks whose images differ.
void check_images(const std::vector<LearningTask>& tasks);

/// The same, and an output that the network does not have or that does not fit the task, and networks with batch norms,
/// whose statistics would be different ones for each task.
void check_tasks(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks);

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

/// How many tokens of a sample choose each expert of each mixture, by the keys of moe::routing_histograms: the mean
/// over a split's images, with trained weights, in the network of each output. Empty for networks without mixtures.
[[nodiscard]] graph::Histograms task_routing(const graph::NetworkGraph& graph, const TaskData& images,
                                             const Dataset& split, const WeightStore& store,
                                             Precision precision = Precision::fp32);

/// Of everything about the tasks that decides what is learned: data, outputs, weights, losses.
[[nodiscard]] std::uint64_t hash(const std::vector<LearningTask>& tasks);

}  // namespace cosearch
