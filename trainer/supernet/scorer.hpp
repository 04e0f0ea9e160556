#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/net/training_memory.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {

/// Measures networks with weights taken from a supernet. Any thread may call; the data outlives it.
class SubnetScorer {
 public:
  struct Options {
    std::int64_t calibration_samples =
        256;                            ///< a fixed, class-balanced part of the training split, without augmentation
    std::int64_t evaluate_samples = 0;  ///< of the evaluated split; 0: all
    kernels::Precision precision = kernels::Precision::fp32;
  };
  SubnetScorer(WeightStore store, const TaskData& data, const Options& options);

  /// Share of right answers on a split, after the statistics of batch norms were computed anew: subnets of one supernet
  /// have different ones. Infeasible: the supernet lacks some of the network's weights.
  [[nodiscard]] Expected<double, Infeasible> accuracy(const graph::NetworkGraph& network, const Dataset& split);
  /// Puts the network's slices, statistics included, in place of the weights of a store made for it. False, and nothing
  /// changed, when the supernet lacks some.
  [[nodiscard]] bool initialize(const graph::NetworkGraph& network, WeightStore& weights);

  [[nodiscard]] const WeightStore& store() const noexcept { return store_; }

 private:
  /// The network's slices with its own statistics.
  [[nodiscard]] Parameters calibrated(const graph::NetworkGraph& network);
  [[nodiscard]] std::shared_ptr<TrainingMemory> take_memory();
  void give_back(std::shared_ptr<TrainingMemory> memory);

  WeightStore store_;
  Parameters shared_;  ///< the same weights
  const TaskData& data_;
  Options options_;
  std::vector<std::int64_t> calibration_;  ///< samples
  std::mutex mutex_;
  std::vector<std::shared_ptr<TrainingMemory>> free_memory_;
};

}  // namespace cosearch
