#include "trainer/supernet/scorer.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "spaces/graph/moe.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/multitask/task_scores.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/supernet/subnet.hpp"
#include "trainer/supernet/subnet_space.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch {
namespace {

bool has_batch_norm(const graph::NetworkGraph& network) {
  return std::any_of(network.nodes.begin(), network.nodes.end(),
                     [](const graph::Node& node) { return std::holds_alternative<graph::BatchNorm>(node.op); });
}

}  // namespace

SubnetScorer::SubnetScorer(WeightStore store, std::vector<LearningTask> tasks, const Options& options)
    : store_(std::move(store)),
      shared_(store_, options.precision),
      tasks_(std::move(tasks)),
      options_(options),
      calibration_(balanced_subset(images().train, options.calibration_samples, images().content_hash)) {}

Expected<std::vector<TaskScore>, Infeasible> SubnetScorer::scores(const graph::NetworkGraph& network,
                                                                  Dataset TaskData::*split) {
  check_outputs(network, tasks_);
  if (!holds(store_, network)) {
    return Unexpected{Infeasible{{}, "the supernet does not hold all of the network's weights"}};
  }
  return task_scores(network, tasks_, split, options_.evaluate_samples,
                     [this](const graph::NetworkGraph& part) { return calibrated(part); });
}

graph::Histograms SubnetScorer::routing(const graph::NetworkGraph& network, Dataset TaskData::*split) {
  if (!holds(store_, network)) {
    return {};
  }
  return task_routing(network, images(), images().*split,
                      [this](const graph::NetworkGraph& part) { return calibrated(part); });
}

bool SubnetScorer::initialize(const graph::NetworkGraph& network, WeightStore& weights) {
  if (!holds(store_, network)) {
    return false;
  }
  for (const graph::NetworkGraph& part : graph::task_networks(network)) {
    calibrated(part).save(weights);
  }
  return true;
}

Parameters SubnetScorer::calibrated(const graph::NetworkGraph& network) {
  Subnet subnet(network, shared_);
  subnet.gather();
  if (has_batch_norm(network)) {
    const BatchSpec spec = plain_batches(input_shape(network), images());
    const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
      const auto samples =
          std::span(calibration_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
      fill_batch(images().train, spec, samples, out);
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
