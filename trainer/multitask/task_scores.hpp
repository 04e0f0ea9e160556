#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/multitask/delta_m.hpp"
#include "trainer/multitask/learning_task.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/net/simulation.hpp"

/// What a network does with weights that its tasks share.
namespace cosearch {

/// The weights of one task's network.
using TaskWeights = std::function<Parameters(const graph::NetworkGraph& network)>;
/// Slices of `shared`, which outlives the function.
[[nodiscard]] TaskWeights slices_of(const Parameters& shared);

/// That of one task; none where there are none.
[[nodiscard]] Simulation simulation_of(const std::vector<Simulation>& simulations, std::size_t task);

/// The score of each task on a split (first `samples`, 0 = all), in the order of the tasks, which fit the network;
/// under the tasks' simulations, where there are some.
[[nodiscard]] std::vector<TaskScore> task_scores(const graph::NetworkGraph& graph,
                                                 const std::vector<LearningTask>& tasks, Dataset TaskData::*split,
                                                 std::int64_t samples, const TaskWeights& weights,
                                                 const std::vector<Simulation>& simulations = {});

/// How many tokens of a sample choose each expert of each mixture, by the keys of moe::routing_histograms: the mean
/// over a split's images, in the network of each output. Empty for networks without mixtures.
[[nodiscard]] graph::Histograms task_routing(const graph::NetworkGraph& graph, const TaskData& images,
                                             const Dataset& split, const TaskWeights& weights);

}  // namespace cosearch
