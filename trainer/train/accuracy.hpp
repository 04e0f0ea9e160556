#pragma once

#include <cstdint>
#include <functional>

#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"

namespace cosearch {

/// @throws ConfigError: a network and a data set that do not fit each other are the user's mistake, as spaces take both
/// from the config. Also for networks with several outputs and data without training samples.
void check_fit(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split);

/// @throws ConfigError: numbers are to be learned. Accuracies are of classes; `train_tasks` learns regressions, be it
/// alone.
void check_classes(const TaskData& data);

/// In which order a network that fits gives the labels of pixels, see `output_patch` and BatchSpec::label_patch.
[[nodiscard]] std::int64_t label_patch(const graph::NetworkGraph& graph, const Dataset& split);

/// On the first `samples` (0: all) of a split, with the running statistics of batch norms: the share of right answers;
/// where each pixel has a label, the mean intersection over union of the classes but the background (`Confusion`);
/// of a regression, the root of the mean squared error, for which less is better.
[[nodiscard]] double accuracy(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                              const Parameters& parameters, std::int64_t samples, const Simulation& simulation = {});

/// Whatever computes the outputs (count, outputs) of `count` samples.
using BatchRunner = std::function<void(const InputSource& input, std::int64_t count, float* outputs)>;
/// The same of outputs that `run` gives for the graph's inputs.
[[nodiscard]] double accuracy_of(const BatchRunner& run, const graph::NetworkGraph& graph, const TaskData& data,
                                 const Dataset& split, std::int64_t samples);

}  // namespace cosearch
