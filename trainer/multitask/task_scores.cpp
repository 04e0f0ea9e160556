#include "trainer/multitask/task_scores.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "spaces/graph/moe.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/moe/routing.hpp"
#include "trainer/supernet/subnet.hpp"
#include "trainer/train/accuracy.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch {

TaskWeights slices_of(const Parameters& shared) {
  return [&shared](const graph::NetworkGraph& network) {
    Subnet subnet(network, shared);
    subnet.gather();
    return std::move(subnet.parameters());
  };
}

Simulation simulation_of(const std::vector<Simulation>& simulations, std::size_t task) {
  return simulations.empty() ? Simulation{} : simulations.at(task);
}

std::vector<TaskScore> task_scores(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks,
                                   Dataset TaskData::*split, std::int64_t samples, const TaskWeights& weights,
                                   const std::vector<Simulation>& simulations) {
  std::vector<TaskScore> scores;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const TaskData& data = *tasks[i].data;
    const graph::NetworkGraph network = graph::task_network(graph, tasks[i].output);
    const Dataset& evaluated = data.*split;
    scores.push_back({accuracy(network, data, evaluated, weights(network), samples, simulation_of(simulations, i)),
                      evaluated.regression});
  }
  return scores;
}

graph::Histograms task_routing(const graph::NetworkGraph& graph, const TaskData& images, const Dataset& split,
                               const TaskWeights& weights) {
  graph::Histograms all;
  if (!graph::has_mixture(graph)) {
    return all;
  }
  for (const graph::NetworkGraph& network : graph::task_networks(graph)) {
    const BatchSpec spec = plain_batches(input_shape(network), images);
    const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
      std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
      std::iota(samples.begin(), samples.end(), first);
      fill_batch(split, spec, samples, out);
    };
    all.merge(moe::routing_histograms(network, weights(network), input, split.size()));
  }
  return all;
}

}  // namespace cosearch
