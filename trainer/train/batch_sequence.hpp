#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

/// The batches of a training: which samples, in which order, with which augmentation. A function of the data, the
/// recipe and the seed. The data outlives it.
class BatchSequence {
 public:
  /// `label_patch`: see BatchSpec.
  BatchSequence(const TaskData& data, const TrainOptions& options, std::uint64_t seed, std::int64_t label_patch = 1);

  /// Samples of a step; fewer than the recipe says where the data has fewer.
  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }
  [[nodiscard]] std::int64_t steps_per_epoch() const noexcept { return steps_per_epoch_; }
  [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }

  /// Chooses the batch of step `step`; again, nothing changes.
  void select(std::int64_t step);
  /// Of the chosen batch, sample after sample.
  [[nodiscard]] std::span<const std::uint8_t> labels() const noexcept { return labels_; }
  /// The same of the numbers of a regression.
  [[nodiscard]] std::span<const float> values() const noexcept { return values_; }
  /// Writes the chosen batch, whichever that is when it is called, for a network with this input. The sequence outlives
  /// and stays where it is.
  [[nodiscard]] InputSource input(const graph::Shape& shape);

 private:
  const TaskData& data_;
  std::uint64_t seed_;
  int shift_;
  bool flip_;
  std::vector<std::int64_t> subset_;
  std::int64_t batch_;
  std::int64_t steps_per_epoch_;
  std::int64_t steps_;
  std::vector<std::int64_t> order_;
  std::int64_t step_ = -1;
  std::int64_t epoch_ = -1;
  std::int64_t first_ = 0;  ///< of the chosen batch, in `order_`
  std::int64_t label_patch_;
  std::vector<std::uint8_t> labels_;
  std::vector<float> values_;
  std::map<graph::Shape, BatchSpec> specs_;  ///< of the inputs asked for
};

/// Unchanged samples as a network with this input sees them.
[[nodiscard]] BatchSpec plain_batches(const graph::Shape& input, const TaskData& data);
/// The shape of a network's input.
[[nodiscard]] const graph::Shape& input_shape(const graph::NetworkGraph& graph);

}  // namespace cosearch
