#include "trainer/moe/routing.hpp"

#include <algorithm>

#include "spaces/base/check.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch::moe {
namespace {

/// Samples whose choices are in memory at once.
constexpr std::int64_t kBlock = 256;

/// Runs a network and keeps its choices.
class Tracer {
 public:
  Tracer(const graph::NetworkGraph& graph, const Parameters& parameters)
      : executor_(graph, parameters), trace_of_(graph.nodes.size(), -1) {
    const auto shapes = graph::infer_shapes(graph);
    COSEARCH_CHECK(shapes.has_value(), "a malformed network reached the trainer");
    outputs_ = graph::elements(shapes->at(static_cast<std::size_t>(graph.outputs.front())));
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (const auto* op = std::get_if<graph::MoeFfn>(&graph.nodes[i].op)) {
        trace_of_[i] = static_cast<int>(traces_.size());
        traces_.push_back({.node = graph.nodes[i].name,
                           .experts = op->experts,
                           .tokens = shapes->at(i)[0],
                           .top_k = op->top_k,
                           .picks = {}});
      }
    }
  }

  const std::vector<RoutingTrace>& run(const InputSource& input, std::int64_t samples) {
    for (RoutingTrace& trace : traces_) {
      trace.samples = samples;
      trace.picks.resize(static_cast<std::size_t>(samples * trace.tokens * trace.top_k));
    }
    std::vector<float> outputs(static_cast<std::size_t>(samples * outputs_));
    executor_.run(input, samples, outputs.data(), [this](int node, std::int64_t first, std::int64_t /*count*/) {
      RoutingTrace& trace = traces_[static_cast<std::size_t>(trace_of_[static_cast<std::size_t>(node)])];
      return trace.picks.data() + first * trace.tokens * trace.top_k;
    });
    return traces_;
  }

 private:
  InferenceExecutor executor_;
  std::vector<int> trace_of_;  ///< of each node; -1: none
  std::vector<RoutingTrace> traces_;
  std::int64_t outputs_ = 1;
};

}  // namespace

std::vector<RoutingTrace> trace_routing(const graph::NetworkGraph& graph, const Parameters& parameters,
                                        const InputSource& input, std::int64_t samples) {
  return Tracer(graph, parameters).run(input, samples);
}

graph::Histograms routing_histograms(const graph::NetworkGraph& graph, const Parameters& parameters,
                                     const InputSource& input, std::int64_t samples) {
  COSEARCH_CHECK(samples > 0, "a mean needs samples");
  graph::Histograms histograms;
  Tracer tracer(graph, parameters);
  for (std::int64_t begin = 0; begin < samples; begin += kBlock) {
    const InputSource block = [&](std::int64_t first, std::int64_t count, float* out) {
      input(begin + first, count, out);
    };
    for (const RoutingTrace& trace : tracer.run(block, std::min(kBlock, samples - begin))) {
      std::vector<double>& counts = histograms[trace.node];
      counts.resize(static_cast<std::size_t>(trace.experts));
      for (const std::int32_t pick : trace.picks) {
        counts[static_cast<std::size_t>(pick)] += 1.0;
      }
    }
  }
  graph::Histograms means;
  for (const graph::Node& node : graph.nodes) {
    if (const auto* op = std::get_if<graph::MoeFfn>(&node.op)) {
      std::vector<double>& counts = histograms[node.name];
      for (double& count : counts) {
        count /= static_cast<double>(samples);
      }
      means[op->tasks > 1 ? graph::tokens_key(node.name, op->task) : graph::tokens_key(node.name)] = std::move(counts);
    }
  }
  return means;
}

}  // namespace cosearch::moe
