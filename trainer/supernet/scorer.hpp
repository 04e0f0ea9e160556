#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "trainer/multitask/delta_m.hpp"
#include "trainer/multitask/learning_task.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/net/training_memory.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {

/// Measures networks with weights taken from a supernet. Any thread may call.
class SubnetScorer {
 public:
  struct Options {
    std::int64_t calibration_samples =
        256;                            ///< a fixed, class-balanced part of the training split, without augmentation
    std::int64_t evaluate_samples = 0;  ///< of the evaluated split; 0: all
    kernels::Precision precision = kernels::Precision::fp32;
  };
  /// The tasks have the same images, see check_images.
  SubnetScorer(WeightStore store, std::vector<LearningTask> tasks, const Options& options);

  /// The score of each task on a split, after the statistics of batch norms were computed anew: subnets of one supernet
  /// have different ones. Infeasible: the supernet lacks some of the network's weights. @throws ConfigError: the
  /// network does not fit the tasks, see check_outputs.
  [[nodiscard]] Expected<std::vector<TaskScore>, Infeasible> scores(const graph::NetworkGraph& network,
                                                                    Dataset TaskData::*split);
  /// Where tokens go in the network with these weights on a split, see task_routing. Empty, as for networks without
  /// mixtures, when the supernet lacks some.
  [[nodiscard]] graph::Histograms routing(const graph::NetworkGraph& network, Dataset TaskData::*split);
  /// Puts the slices of the networks of all tasks, statistics included, in place of the weights of a store made for
  /// them. False, and nothing changed, when the supernet lacks some.
  [[nodiscard]] bool initialize(const graph::NetworkGraph& network, WeightStore& weights);

  [[nodiscard]] const WeightStore& store() const noexcept { return store_; }

 private:
  /// The slices of one task's network with its own statistics.
  [[nodiscard]] Parameters calibrated(const graph::NetworkGraph& network);
  /// Whose images the tasks share.
  [[nodiscard]] const TaskData& images() const { return *tasks_.front().data; }
  [[nodiscard]] std::shared_ptr<TrainingMemory> take_memory();
  void give_back(std::shared_ptr<TrainingMemory> memory);

  WeightStore store_;
  Parameters shared_;  ///< the same weights
  std::vector<LearningTask> tasks_;
  Options options_;
  std::vector<std::int64_t> calibration_;  ///< samples
  std::mutex mutex_;
  std::vector<std::shared_ptr<TrainingMemory>> free_memory_;
};

}  // namespace cosearch
