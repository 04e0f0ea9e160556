#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/store/weight_store.hpp"
#include "trainer/supernet/subnet_space.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

/// How a supernet is trained; everything that decides its weights.
struct SupernetOptions {
  TrainOptions train;               ///< `evaluate_samples` does not count here
  std::int64_t random_subnets = 2;  ///< of each step, beside the largest and the smallest
  double distillation = 0.5;        ///< share of the largest network's probabilities in the others' targets; 0: none
};

/// Untrained weights at the shapes that the corners need.
[[nodiscard]] WeightStore make_supernet(const SubnetSpace& space, std::uint64_t seed);

/// Trains shared weights by the sandwich rule with in-place distillation (Yu and Huang, "Universally slimmable networks
/// and improved training techniques", ICCV 2019, section 3): each step draws networks of the space; the first decides
/// the family, so families take part in the proportion in which the space has them. The family's largest network learns
/// the labels, its smallest and `random_subnets` drawn ones learn labels and the largest one's probabilities of the
/// same step. Networks that mix what families differ in belong to the nearest one. Equal networks of a step count once.
/// The gradient is the mean over the step's networks, summed in this order. Images are resized to each network's input.
///
/// A space of one network and the same recipe, seed and initial weights give the trainable weights of train(), to the
/// bit. Running statistics of batch norms are not trained: they belong to one subnet, see SubnetScorer.
/// Progress, stops, checkpoints (at least twenty in a training), threads and errors as for train(); `accuracy` of the
/// result is 0.
[[nodiscard]] Expected<TrainResult, Infeasible> train_supernet(const SubnetSpace& space, const TaskData& data,
                                                               const SupernetOptions& options, std::uint64_t seed,
                                                               WeightStore& store, const ProgressSink& progress = {},
                                                               const std::stop_token& stop = {},
                                                               const Checkpoint& checkpoint = {});

/// Hash of everything that decides the trained weights: space, data, recipe, seed, code, and the initial weights by
/// `origin`, the fingerprint of the supernet that they were taken from (0: none).
[[nodiscard]] std::uint64_t supernet_fingerprint(const SubnetSpace& space, const TaskData& data,
                                                 const SupernetOptions& options, std::uint64_t seed,
                                                 std::uint64_t origin = 0);

}  // namespace cosearch
