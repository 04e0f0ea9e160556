#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "spaces/ir/workload.hpp"
#include "spaces/queue/expert_queue.hpp"

/// Networks with mixtures of experts, and of several tasks: what runs for one task, and how many tokens each expert
/// gets.
namespace cosearch::graph {

/// What runs for one task of a network with one output per task: that output alone, every MoeFfn of several tasks with
/// that `task`, without the nodes that only other tasks need. Names stay, so the networks of all tasks share the
/// weights of their trunk. Aborts on a task that the network does not have.
[[nodiscard]] NetworkGraph task_network(const NetworkGraph& graph, int task);
/// Those of all outputs, in their order; of a single output the network itself.
[[nodiscard]] std::vector<NetworkGraph> task_networks(const NetworkGraph& graph);
/// Weights of the networks of all tasks, those that they share once.
[[nodiscard]] std::vector<WeightSpec> task_weights(const NetworkGraph& graph);
/// Whether there is a MoeFfn, so that what runs depends on the weights.
[[nodiscard]] bool has_mixture(const NetworkGraph& graph);
/// Whether what runs depends on the task: some MoeFfn routes the tokens of several tasks.
[[nodiscard]] bool routes_by_task(const NetworkGraph& graph);

/// Under which name histograms hold the tokens per expert of a node whatever the task: `<node>.tokens`.
[[nodiscard]] std::string tokens_key(const std::string& node);
/// The same for one task, preferred for that: `<node>.tokens_<task>`.
[[nodiscard]] std::string tokens_key(const std::string& node, std::int64_t task);
/// Of a MoeFfn's node called `node`; null where there are none.
[[nodiscard]] const std::vector<double>* find_histogram(const Histograms& histograms, const std::string& node,
                                                        const MoeFfn& op);
/// One line about the first histogram of a MoeFfn that cannot be: not one count per expert, negative, all zero, or an
/// expert with more tokens than there are. Names that no node has are ignored.
[[nodiscard]] std::optional<std::string> wrong_histogram(const NetworkGraph& graph, const Histograms& histograms);

/// How many of `tokens` choose each expert, whole numbers whose sum is tokens * top_k and of which none is above
/// `tokens`: in the proportions of the histogram (what is left over goes to the largest fractions, of equal ones to the
/// lower expert), or spread evenly, the first experts having one more, where it is null.
[[nodiscard]] std::vector<std::int64_t> expert_tokens(const MoeFfn& op, std::int64_t tokens,
                                                      const std::vector<double>* histogram);

/// Where a workload works off a mixture's queue: one expert after the other, each in einsums that follow each other.
struct QueuedEinsums {
  /// Einsums from `first` to one before `end`.
  struct Range {
    std::size_t first = 0;
    std::size_t end = 0;
    bool operator==(const Range&) const = default;
  };
  std::string node;           ///< of the mixture
  ExpertQueue queue;          ///< weight_bytes: of the weights that the einsums read, in the workload's type
  std::vector<Range> ranges;  ///< of the queue's entries
};

struct LoweredNetwork {
  ir::Workload workload;
  std::vector<QueuedEinsums> queues;  ///< in the order of the einsums; training has a second one for gradients
};
/// `lower` (graph.hpp), and which of the einsums are whose experts'.
[[nodiscard]] LoweredNetwork lower_with_queues(const NetworkGraph& graph, Phase phase, std::int64_t batch,
                                               const DataTypes& types, const Histograms& histograms = {});

}  // namespace cosearch::graph
