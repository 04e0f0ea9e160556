#include "spaces/graph/moe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch::graph {
namespace {

// Counts that are means over samples come near whole numbers, not onto them.
constexpr double kRounding = 1e-12;

std::vector<bool> needed_for(const NetworkGraph& graph, int output) {
  std::vector<bool> needed(graph.nodes.size(), false);
  needed[0] = true;  // the Input
  needed[static_cast<std::size_t>(output)] = true;
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    if (needed[i]) {
      for (const int input : graph.nodes[i].inputs) {
        needed[static_cast<std::size_t>(input)] = true;
      }
    }
  }
  return needed;
}

std::optional<std::string> wrong_counts(const MoeFfn& op, const std::vector<double>& counts) {
  if (counts.size() != static_cast<std::size_t>(op.experts)) {
    return fmt::format("{} counts for {} experts", counts.size(), op.experts);
  }
  const auto wrong =
      std::find_if(counts.begin(), counts.end(), [](double count) { return !(std::isfinite(count) && count >= 0.0); });
  if (wrong != counts.end()) {
    return fmt::format("{} is no number of tokens", *wrong);
  }
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double largest = *std::max_element(counts.begin(), counts.end());
  if (sum == 0.0) {
    return std::string("no expert has tokens");
  }
  if (largest * static_cast<double>(op.top_k) > sum * (1.0 + kRounding)) {
    return fmt::format("an expert has {} of the {} choices of tokens that choose {} experts each", largest, sum,
                       op.top_k);
  }
  return std::nullopt;
}

}  // namespace

NetworkGraph task_network(const NetworkGraph& graph, int task) {
  COSEARCH_CHECK(task >= 0 && task < static_cast<int>(graph.outputs.size()), "a task that the network does not have");
  const int output = graph.outputs[static_cast<std::size_t>(task)];
  const std::vector<bool> needed = needed_for(graph, output);
  NetworkGraph part{graph.name, {}, {}};
  std::vector<int> index(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!needed[i]) {
      continue;
    }
    Node node = graph.nodes[i];
    for (int& input : node.inputs) {
      input = index[static_cast<std::size_t>(input)];
    }
    if (auto* moe = std::get_if<MoeFfn>(&node.op); moe != nullptr && moe->tasks > 1) {
      moe->task = task;
    }
    index[i] = static_cast<int>(part.nodes.size());
    part.nodes.push_back(std::move(node));
  }
  part.outputs = {index[static_cast<std::size_t>(output)]};
  return part;
}

std::vector<NetworkGraph> task_networks(const NetworkGraph& graph) {
  if (graph.outputs.size() == 1) {
    return {graph};
  }
  std::vector<NetworkGraph> networks;
  for (int task = 0; task < static_cast<int>(graph.outputs.size()); ++task) {
    networks.push_back(task_network(graph, task));
  }
  return networks;
}

std::vector<WeightSpec> task_weights(const NetworkGraph& graph) {
  std::vector<WeightSpec> specs;
  std::set<std::string> names;
  for (const NetworkGraph& network : task_networks(graph)) {
    for (WeightSpec& spec : weights(network)) {
      if (names.insert(spec.name).second) {
        specs.push_back(std::move(spec));
      }
    }
  }
  return specs;
}

bool has_mixture(const NetworkGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return std::holds_alternative<MoeFfn>(node.op); });
}

bool routes_by_task(const NetworkGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    const auto* moe = std::get_if<MoeFfn>(&node.op);
    return moe != nullptr && moe->tasks > 1;
  });
}

std::string tokens_key(const std::string& node) { return node + ".tokens"; }
std::string tokens_key(const std::string& node, std::int64_t task) {
  return fmt::format("{}_{}", tokens_key(node), task);
}

const std::vector<double>* find_histogram(const Histograms& histograms, const std::string& node, const MoeFfn& op) {
  for (const std::string& key : {tokens_key(node, op.task), tokens_key(node)}) {
    if (const auto found = histograms.find(key); found != histograms.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

std::optional<std::string> wrong_histogram(const NetworkGraph& graph, const Histograms& histograms) {
  for (const Node& node : graph.nodes) {
    if (const auto* moe = std::get_if<MoeFfn>(&node.op)) {
      const std::vector<double>* counts = find_histogram(histograms, node.name, *moe);
      if (const auto reason = counts == nullptr ? std::nullopt : wrong_counts(*moe, *counts)) {
        return fmt::format("tokens per expert of node \"{}\": {}", node.name, *reason);
      }
    }
  }
  return std::nullopt;
}

std::vector<std::int64_t> expert_tokens(const MoeFfn& op, std::int64_t tokens, const std::vector<double>* histogram) {
  const auto experts = static_cast<std::size_t>(op.experts);
  const std::vector<double> shares = histogram != nullptr ? *histogram : std::vector<double>(experts, 1.0);
  COSEARCH_CHECK(!wrong_counts(op, shares), "histograms are checked before they are used");
  const std::int64_t choices = tokens * op.top_k;
  const double scale = static_cast<double>(choices) / std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<std::int64_t> counts(experts);
  std::vector<double> fractions(experts);
  for (std::size_t e = 0; e < experts; ++e) {
    const double exact = shares[e] * scale;
    counts[e] = std::min(tokens, static_cast<std::int64_t>(std::floor(exact + kRounding * (1.0 + exact))));
    fractions[e] = exact - static_cast<double>(counts[e]);
  }
  std::vector<std::size_t> order(experts);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return fractions[a] > fractions[b]; });
  std::int64_t left = choices - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  for (std::size_t i = 0; left > 0; i = (i + 1) % experts) {
    if (counts[order[i]] < tokens) {
      ++counts[order[i]];
      --left;
    }
  }
  return counts;
}

}  // namespace cosearch::graph
