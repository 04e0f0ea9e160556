#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "tests/oracle/naive_network.hpp"

/// Mixtures of experts token by token in double precision, from the definition of graph::MoeFfn.
namespace cosearch::oracle {

/// Finds a weight of the node by the last part of its name.
using WeightOf = std::function<const std::vector<double>&(const std::string&)>;

/// What the router of a node makes of all tokens, with the noise of `noise_seed` where that is given.
[[nodiscard]] Mixture route(const graph::MoeFfn& op, const std::string& node, const Batch& x, std::int64_t batch,
                            std::optional<std::uint64_t> noise_seed, const WeightOf& weight);
/// The output for all tokens; fills `hidden`.
[[nodiscard]] std::vector<double> mix(const graph::MoeFfn& op, const Batch& x, Mixture& mixture,
                                      const WeightOf& weight);

/// What the mixtures add to the loss when the tokens of `set` neighbouring samples (the last set may be smaller) are
/// one set: the mean over the sets, by their samples.
[[nodiscard]] double balance_loss(const graph::NetworkGraph& graph, const Forward& forward, std::int64_t batch,
                                  std::int64_t set);

/// `<node>.tokens` of every mixture: the mean number of tokens of a sample that choose each expert.
[[nodiscard]] graph::Histograms token_histograms(const Forward& forward, std::int64_t batch);

}  // namespace cosearch::oracle
