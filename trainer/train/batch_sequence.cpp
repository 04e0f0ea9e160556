#include "trainer/train/batch_sequence.hpp"

#include <algorithm>
#include <cmath>

namespace cosearch {

BatchSequence::BatchSequence(const TaskData& data, const TrainOptions& options, std::uint64_t seed,
                             std::int64_t label_patch)
    : data_(data),
      seed_(seed),
      shift_(options.shift),
      flip_(options.flip),
      // The subset belongs to the data, not to the seed: all candidates see the same samples.
      subset_(balanced_subset(data.train, options.train_samples, data.content_hash)),
      batch_(std::min(options.batch, static_cast<std::int64_t>(subset_.size()))),
      steps_per_epoch_(static_cast<std::int64_t>(subset_.size()) / batch_),
      steps_(std::max<std::int64_t>(1, std::llround(options.epochs * static_cast<double>(steps_per_epoch_)))),
      label_patch_(label_patch) {
  const auto targets = static_cast<std::size_t>(batch_ * data.train.labels_per_sample());
  labels_.resize(data.train.regression ? 0 : targets);
  values_.resize(data.train.regression ? targets : 0);
}

void BatchSequence::select(std::int64_t step) {
  if (step == step_) {
    return;
  }
  step_ = step;
  const std::int64_t epoch = step / steps_per_epoch_;
  if (epoch != epoch_) {
    order_ = epoch_order(subset_, seed_, epoch);
    epoch_ = epoch;
    for (auto& [shape, spec] : specs_) {
      spec.epoch = epoch;
    }
  }
  first_ = step % steps_per_epoch_ * batch_;
  const BatchSpec spec{
      .input = {}, .shift = shift_, .flip = flip_, .seed = seed_, .epoch = epoch_, .label_patch = label_patch_};
  const auto samples = std::span(order_).subspan(static_cast<std::size_t>(first_), static_cast<std::size_t>(batch_));
  if (data_.train.regression) {
    fill_values(data_.train, spec, samples, values_);
  } else {
    fill_labels(data_.train, spec, samples, labels_);
  }
}

InputSource BatchSequence::input(const graph::Shape& shape) {
  BatchSpec& spec = specs_.try_emplace(shape, plain_batches(shape, data_)).first->second;
  spec.shift = shift_;
  spec.flip = flip_;
  spec.seed = seed_;
  spec.epoch = epoch_;
  return [this, &spec](std::int64_t first, std::int64_t count, float* out) {
    const auto begin = static_cast<std::size_t>(first_ + first);
    fill_batch(data_.train, spec, std::span(order_).subspan(begin, static_cast<std::size_t>(count)), out);
  };
}

BatchSpec plain_batches(const graph::Shape& input, const TaskData& data) {
  return {.input = input, .mean = data.mean, .std_dev = data.std_dev};
}

const graph::Shape& input_shape(const graph::NetworkGraph& graph) {
  return std::get<graph::Input>(graph.nodes.front().op).shape;
}

}  // namespace cosearch
