#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "trainer/multitask/learning_task.hpp"
#include "trainer/store/weight_store.hpp"
#include "trainer/supernet/subnet_space.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

/// How a supernet is trained; everything that decides its weights.
struct SupernetOptions {
  TrainOptions train;                         ///< `evaluate_samples` does not count here
  std::int64_t random_subnets = 2;            ///< of each step, beside the largest and the smallest
  double distillation = 0.5;                  ///< share of the largest network in the others' targets; 0: none
  TaskSampling sampling = TaskSampling::all;  ///< of several tasks; a step's networks learn the same ones
};

/// Untrained weights, of all tasks, at the shapes that the corners need.
[[nodiscard]] WeightStore make_supernet(const SubnetSpace& space, std::uint64_t seed);

/// Trains shared weights by the sandwich rule with in-place distillation (Yu and Huang, "Universally slimmable networks
/// and improved training techniques", ICCV 2019, section 3): each step draws networks of the space; the first decides
/// the family, so families take part in the proportion in which the space has them. The family's largest network learns
/// the labels, its smallest and `random_subnets` drawn ones learn labels and what the largest one predicts in the same
/// step. Networks that mix what families differ in belong to the nearest one. Equal networks of a step count once.
/// The gradient is the mean over the step's networks, summed in this order. Images are resized to each network's input;
/// labels of pixels, and what is predicted for them, are brought into the order in which each network gives them.
///
/// Of several tasks each network of a step learns the step's, by `graph::task_network`, its gradients summed in their
/// order. Predictions are probabilities, of images or of pixels, and class weights scale a row's whole target; of a
/// regression they are the numbers, and the loss is the mixture of the task's own loss to the values and to these (see
/// Targets): any other loss would need a scale of its own beside the task's weight.
///
/// A space of one network and the same recipe, seed and initial weights give the trainable weights of train(), or of
/// train_tasks(), to the bit. Running statistics of batch norms are not trained: they belong to one subnet, see
/// SubnetScorer. Progress, stops, checkpoints (at least twenty in a training) and threads as for train(); `accuracy` of
/// the result is 0. @throws ConfigError: the corners do not fit the tasks, or several tasks meet batch norms, see
/// check_tasks.
[[nodiscard]] Expected<TrainResult, Infeasible> train_supernet(const SubnetSpace& space,
                                                               const std::vector<LearningTask>& tasks,
                                                               const SupernetOptions& options, std::uint64_t seed,
                                                               WeightStore& store, const ProgressSink& progress = {},
                                                               const std::stop_token& stop = {},
                                                               const Checkpoint& checkpoint = {});

/// Hash of everything that decides the trained weights: space, tasks, recipe, seed, code, and the initial weights by
/// `origin`, the fingerprint of the supernet that they were taken from (0: none).
[[nodiscard]] std::uint64_t supernet_fingerprint(const SubnetSpace& space, const std::vector<LearningTask>& tasks,
                                                 const SupernetOptions& options, std::uint64_t seed,
                                                 std::uint64_t origin = 0);

}  // namespace cosearch
