#include "trainer/supernet/scorer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "trainer/data/batch.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/supernet/subnet.hpp"
#include "trainer/supernet/subnet_space.hpp"
#include "trainer/train/accuracy.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch {
namespace {

bool has_batch_norm(const graph::NetworkGraph& network) {
  return std::any_of(network.nodes.begin(), network.nodes.end(),
                     [](const graph::Node& node) { return std::holds_alternative<graph::BatchNorm>(node.op); });
}

}  // namespace

SubnetScorer::SubnetScorer(WeightStore store, const TaskData& data, const Options& options)
    : store_(std::move(store)),
      shared_(store_, options.precision),
      data_(data),
      options_(options),
      calibration_(balanced_subset(data.train, options.calibration_samples, data.content_hash)) {}

Expected<double, Infeasible> SubnetScorer::accuracy(const graph::NetworkGraph& network, const Dataset& split) {
  check_fit(network, data_, split);
  if (!holds(store_, network)) {
    return Unexpected{Infeasible{{}, "the supernet does not hold all of the network's weights"}};
  }
  return cosearch::accuracy(network, data_, split, calibrated(network), options_.evaluate_samples);
}

bool SubnetScorer::initialize(const graph::NetworkGraph& network, WeightStore& weights) {
  if (!holds(store_, network)) {
    return false;
  }
  calibrated(network).save(weights);
  return true;
}

Parameters SubnetScorer::calibrated(const graph::NetworkGraph& network) {
  Subnet subnet(network, shared_);
  subnet.gather();
  if (has_batch_norm(network)) {
    const BatchSpec spec = plain_batches(input_shape(network), data_);
    const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
      const auto samples =
          std::span(calibration_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      fill_batch(data_.train, spec, samples, out);
    };
    const std::shared_ptr<TrainingMemory> memory = take_memory();
    calibrate_batch_norms(network, subnet.parameters(), input, static_cast<std::int64_t>(calibration_.size()), memory);
    give_back(memory);
  }
  return std::move(subnet.parameters());
}

std::shared_ptr<TrainingMemory> SubnetScorer::take_memory() {
  const std::lock_guard lock(mutex_);
  if (free_memory_.empty()) {
    return std::make_shared<TrainingMemory>();
  }
  std::shared_ptr<TrainingMemory> memory = std::move(free_memory_.back());
  free_memory_.pop_back();
  return memory;
}

void SubnetScorer::give_back(std::shared_ptr<TrainingMemory> memory) {
  const std::lock_guard lock(mutex_);
  free_memory_.push_back(std::move(memory));
}

}  // namespace cosearch
