#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/net/executor.hpp"

/// Which experts a trained network's tokens choose: evidence for the second pricing, and traces for simulators of
/// queues.
namespace cosearch::moe {

/// The choices of one mixture's tokens in some samples.
struct RoutingTrace {
  std::string node;
  std::int64_t experts = 1;
  std::int64_t samples = 0, tokens = 0, top_k = 1;
  /// (samples, tokens, top_k): experts, that of the largest share first.
  std::vector<std::int32_t> picks;
};

/// Of every mixture, in node order, for samples [0, samples) of the source.
[[nodiscard]] std::vector<RoutingTrace> trace_routing(const graph::NetworkGraph& graph, const Parameters& parameters,
                                                      const InputSource& input, std::int64_t samples);

/// Under graph::tokens_key of each mixture: how many tokens of a sample choose each expert, the mean over the samples;
/// samples > 0. The network of one task of several: under the key of that task. Same bits for any number of threads.
[[nodiscard]] graph::Histograms routing_histograms(const graph::NetworkGraph& graph, const Parameters& parameters,
                                                   const InputSource& input, std::int64_t samples);

}  // namespace cosearch::moe
