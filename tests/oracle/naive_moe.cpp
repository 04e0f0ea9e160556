#include "tests/oracle/naive_moe.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "spaces/base/hash.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch::oracle {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The embedding of the task that runs.
std::vector<double> embed_task(const graph::MoeFfn& op, const WeightOf& weight) {
  std::vector<double> result;
  for (std::int64_t f = 0; f < op.embedding; ++f) {
    double sum = weight("task_b2")[at(f)];
    for (std::int64_t d = 0; d < op.embedding; ++d) {
      sum += std::max(0.0, weight("task_w1")[at(op.task * op.embedding + d)]) *
             weight("task_w2")[at(d * op.embedding + f)];
    }
    result.push_back(std::max(0.0, sum));
  }
  return result;
}

/// Sum over the inputs of x times column e of the router.
std::vector<double> logits(const graph::MoeFfn& op, const std::vector<double>& inputs,
                           const std::vector<double>& router) {
  std::vector<double> result;
  for (std::int64_t e = 0; e < op.experts; ++e) {
    double sum = 0.0;
    for (std::size_t c = 0; c < inputs.size(); ++c) {
      sum += inputs[c] * router[c * at(op.experts) + at(e)];
    }
    result.push_back(sum);
  }
  return result;
}

/// Variance, divided by the number of values minus one, over the squared mean.
double squared_variation(const std::vector<double>& values) {
  if (values.size() < 2) {
    return 0.0;
  }
  const auto count = static_cast<double>(values.size());
  double mean = 0.0;
  for (const double value : values) {
    mean += value / count;
  }
  double variance = 0.0;
  for (const double value : values) {
    variance += (value - mean) * (value - mean) / (count - 1.0);
  }
  return variance / (mean * mean + 1e-10);
}

/// Whether expert e would be chosen if its logit were this one and the others stayed: its rank, counted.
double expected_load(const graph::MoeFfn& op, const Mixture& mixture, std::int64_t row, std::int64_t e) {
  std::vector<double> others;
  for (std::int64_t other = 0; other < op.experts; ++other) {
    if (other != e) {
      others.push_back(mixture.noisy[at(row * op.experts + other)]);
    }
  }
  std::sort(others.rbegin(), others.rend());
  const double margin = mixture.clean[at(row * op.experts + e)] - others[at(op.top_k - 1)];
  return std::erfc(-margin / (op.noise / static_cast<double>(op.experts)) / std::numbers::sqrt2) / 2.0;
}

double set_loss(const graph::MoeFfn& op, const Mixture& mixture, std::int64_t first, std::int64_t end) {
  std::vector<double> importances(at(op.experts), 0.0);
  std::vector<double> loads(at(op.experts), 0.0);
  const bool smooth = mixture.noisy != mixture.clean && op.top_k < op.experts;
  for (std::int64_t row = first; row < end; ++row) {
    for (std::int64_t e = 0; e < op.experts; ++e) {
      importances[at(e)] += mixture.kept[at(row * op.experts + e)];
      loads[at(e)] +=
          smooth ? expected_load(op, mixture, row, e) : (mixture.chosen[at(row * op.experts + e)] ? 1.0 : 0.0);
    }
  }
  return squared_variation(importances) + squared_variation(loads);
}

}  // namespace

Mixture route(const graph::MoeFfn& op, const std::string& node, const Batch& x, std::int64_t batch,
              std::optional<std::uint64_t> noise_seed, const WeightOf& weight) {
  const bool conditioned = op.routing == graph::MoeRouting::conditioned;
  const std::string router = op.tasks > 1 && !conditioned ? "router_" + std::to_string(op.task) : "router";
  const std::vector<double> task = conditioned ? embed_task(op, weight) : std::vector<double>{};
  Mixture result;
  result.experts = op.experts;
  for (std::int64_t n = 0; n < batch; ++n) {
    std::optional<RngStream> noise;
    if (noise_seed && op.noise > 0.0) {
      noise.emplace(Hasher{}.add(*noise_seed).add(node).value(), Purpose::gate, static_cast<std::uint64_t>(n));
    }
    for (std::int64_t t = 0; t < x.shape[0]; ++t) {
      const auto row = x.values.begin() + (n * x.shape[0] + t) * x.shape[1];
      std::vector<double> inputs(row, row + x.shape[1]);
      inputs.insert(inputs.end(), task.begin(), task.end());
      const std::vector<double> clean = logits(op, inputs, weight(router));
      std::vector<double> noisy = clean;
      for (double& logit : noisy) {
        logit += noise ? op.noise / static_cast<double>(op.experts) * noise->normal() : 0.0;
      }
      double sum = 0.0;
      for (const double logit : noisy) {
        sum += std::exp(logit);
      }
      for (std::int64_t e = 0; e < op.experts; ++e) {
        // Chosen: fewer than top_k others stand before it.
        std::int64_t before = 0;
        for (std::int64_t other = 0; other < op.experts; ++other) {
          before += noisy[at(other)] > noisy[at(e)] || (noisy[at(other)] == noisy[at(e)] && other < e) ? 1 : 0;
        }
        result.chosen.push_back(before < op.top_k);
        result.kept.push_back(before < op.top_k ? std::exp(noisy[at(e)]) / sum : 0.0);
      }
      result.clean.insert(result.clean.end(), clean.begin(), clean.end());
      result.noisy.insert(result.noisy.end(), noisy.begin(), noisy.end());
    }
  }
  return result;
}

std::vector<double> mix(const graph::MoeFfn& op, const Batch& x, Mixture& mixture, const WeightOf& weight) {
  const std::int64_t features = x.shape[1];
  std::vector<double> y(x.values.size(), 0.0);
  for (std::size_t i = 0; i < mixture.kept.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / op.experts;
    const auto e = static_cast<std::int64_t>(i) % op.experts;
    if (!mixture.chosen[i]) {
      continue;
    }
    std::vector<double> hidden;
    for (std::int64_t h = 0; h < op.hidden; ++h) {
      double sum = weight("b1")[at(e * op.hidden + h)];
      for (std::int64_t c = 0; c < features; ++c) {
        sum += x.values[at(row * features + c)] * weight("w1")[at((e * features + c) * op.hidden + h)];
      }
      mixture.hidden.push_back(sum);
      hidden.push_back(sum * (1.0 + std::erf(sum / std::numbers::sqrt2)) / 2.0);
    }
    for (std::int64_t c = 0; c < features; ++c) {
      double sum = weight("b2")[at(e * features + c)];
      for (std::int64_t h = 0; h < op.hidden; ++h) {
        sum += hidden[at(h)] * weight("w2")[at((e * op.hidden + h) * features + c)];
      }
      y[at(row * features + c)] += mixture.kept[i] * sum;
    }
  }
  return y;
}

double balance_loss(const graph::NetworkGraph& graph, const Forward& forward, std::int64_t batch, std::int64_t set) {
  double loss = 0.0;
  for (const graph::Node& node : graph.nodes) {
    const auto* op = std::get_if<graph::MoeFfn>(&node.op);
    if (op == nullptr) {
      continue;
    }
    const Mixture& mixture = forward.mixtures.at(node.name);
    const std::int64_t tokens = static_cast<std::int64_t>(mixture.kept.size()) / op->experts / batch;
    for (std::int64_t first = 0; first < batch; first += set) {
      const std::int64_t end = std::min(batch, first + set);
      loss += op->balance * set_loss(*op, mixture, first * tokens, end * tokens) * static_cast<double>(end - first) /
              static_cast<double>(batch);
    }
  }
  return loss;
}

graph::Histograms token_histograms(const Forward& forward, std::int64_t batch) {
  graph::Histograms histograms;
  for (const auto& [node, mixture] : forward.mixtures) {
    std::vector<double>& counts = histograms[node + ".tokens"];
    counts.assign(at(mixture.experts), 0.0);
    for (std::size_t i = 0; i < mixture.chosen.size(); ++i) {
      counts[i % at(mixture.experts)] += mixture.chosen[i] ? 1.0 : 0.0;
    }
    for (double& count : counts) {
      count /= static_cast<double>(batch);
    }
  }
  return histograms;
}

}  // namespace cosearch::oracle
