#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/kernels/kernels.hpp"

/// One network, several tasks on the same images: each runs through a network of its own (`graph::task_network`), whose
/// weights are slices of common ones.
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

/// A task of a step, and what its loss counts.
struct StepTask {
  std::size_t task = 0;
  double weight = 1.0;
};
/// In the order in which their gradients are summed: a function of the arguments.
[[nodiscard]] std::vector<StepTask> step_tasks(const std::vector<LearningTask>& tasks, TaskSampling sampling,
                                               std::uint64_t seed, std::int64_t step);

/// @throws ConfigError, in one line: no task, a task without data or training samples, tasks whose images differ.
void check_images(const std::vector<LearningTask>& tasks);
/// @throws ConfigError: an output that the network does not have or that does not fit the task, and class weights that
/// are not one for each class.
void check_outputs(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks);
/// Both, and networks with batch norms, whose statistics would be different ones for each task.
void check_tasks(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks);

/// Of everything about the tasks that decides what is learned: data, outputs, weights, losses.
[[nodiscard]] std::uint64_t hash(const std::vector<LearningTask>& tasks);

}  // namespace cosearch
