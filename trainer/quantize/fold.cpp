#include <algorithm>
#include <cmath>
#include <span>

#include "spaces/base/check.hpp"
#include "spaces/program/program.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/quantize/quantize.hpp"

namespace cosearch::quantize {
namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// y = factor * x + offset of each channel.
struct Affine {
  std::vector<double> factor, offset;
};

class Folding {
 public:
  Folding(const graph::NetworkGraph& graph, const WeightStore& weights) : graph_(graph), parameters_(graph) {
    parameters_.load(weights);
  }

  std::optional<FoldedLayer> layer(const std::vector<int>& chain) const {
    const int node = chain.front();
    if (parameters_.of_node(node).empty()) {
      return std::nullopt;
    }
    FoldedLayer layer{.node = node, .weight = {}, .bias = {}};
    const graph::Op& op = graph_.nodes[index(node)].op;
    if (std::holds_alternative<graph::BatchNorm>(op)) {
      const Affine affine = batch_norm(node);
      layer.weight.assign(affine.factor.begin(), affine.factor.end());
      layer.bias.assign(affine.offset.begin(), affine.offset.end());
    } else if (std::holds_alternative<graph::LayerNorm>(op)) {
      layer.weight = copy(node, 0);
      layer.bias = copy(node, 1);
    } else if (std::holds_alternative<graph::PositionEmbed>(op) || std::holds_alternative<graph::TokenEmbed>(op)) {
      layer.weight = copy(node, 0);
    } else if (const auto* moe = std::get_if<graph::MoeFfn>(&op)) {
      layer.mixture = mixture(*moe, node);
    } else {
      fold_map(chain, layer);
    }
    return layer;
  }

 private:
  [[nodiscard]] std::span<const float> values(int node, std::size_t i) const {
    const Parameters::Entry& entry = parameters_.entries()[index(parameters_.of_node(node)[i])];
    return parameters_.values().subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
  }
  [[nodiscard]] std::vector<float> copy(int node, std::size_t i) const {
    const std::span<const float> own = values(node, i);
    return {own.begin(), own.end()};
  }

  [[nodiscard]] Affine batch_norm(int node) const {
    const double epsilon = std::get<graph::BatchNorm>(graph_.nodes[index(node)].op).epsilon;
    Affine affine;
    for (std::size_t c = 0; c < values(node, 0).size(); ++c) {
      const auto at = [&](std::size_t i) { return static_cast<double>(values(node, i)[c]); };
      affine.factor.push_back(at(0) / std::sqrt(at(3) + epsilon));
      affine.offset.push_back(at(1) - at(2) * affine.factor.back());
    }
    return affine;
  }

  /// What the embedding of the network's task adds to the logits, see graph::MoeFfn.
  [[nodiscard]] std::vector<float> task_logits(const graph::MoeFfn& op, int node) const {
    const auto experts = static_cast<std::size_t>(op.experts);
    std::vector<float> logits(experts, 0.0F);
    if (op.routing != graph::MoeRouting::conditioned) {
      return logits;
    }
    const auto width = static_cast<std::size_t>(op.embedding);
    const std::span<const float> own = values(node, 5).subspan(static_cast<std::size_t>(op.task) * width, width);
    const std::span<const float> router = values(node, 0).last(width * experts);
    std::vector<double> sums(experts, 0.0);
    for (std::size_t d = 0; d < width; ++d) {
      auto t = static_cast<double>(values(node, 7)[d]);
      for (std::size_t i = 0; i < width; ++i) {
        t += std::max(0.0, static_cast<double>(own[i])) * static_cast<double>(values(node, 6)[i * width + d]);
      }
      for (std::size_t e = 0; e < experts; ++e) {
        sums[e] += std::max(0.0, t) * static_cast<double>(router[d * experts + e]);
      }
    }
    std::transform(sums.begin(), sums.end(), logits.begin(), [](double sum) { return static_cast<float>(sum); });
    return logits;
  }

  [[nodiscard]] FoldedMixture mixture(const graph::MoeFfn& op, int node) const {
    const auto experts = static_cast<std::size_t>(op.experts);
    const auto hidden = static_cast<std::size_t>(op.hidden);
    const std::size_t features = values(node, 4).size() / experts;
    return {.router = transposed(values(node, 0).first(features * experts), 1, features),
            .router_bias = task_logits(op, node),
            .w1 = transposed(values(node, 1), experts, features),
            .b1 = copy(node, 2),
            .w2 = transposed(values(node, 3), experts, hidden),
            .b2 = copy(node, 4)};
  }

  /// [blocks][rows][columns] as [blocks][columns][rows].
  static std::vector<float> transposed(std::span<const float> values, std::size_t blocks, std::size_t rows) {
    const std::size_t columns = values.size() / (blocks * rows);
    std::vector<float> result;
    result.reserve(values.size());
    for (std::size_t block = 0; block < blocks; ++block) {
      for (std::size_t column = 0; column < columns; ++column) {
        for (std::size_t row = 0; row < rows; ++row) {
          result.push_back(values[(block * rows + row) * columns + column]);
        }
      }
    }
    return result;
  }

  /// Weights (..., out) of a linear map become [out][...].
  void fold_map(const std::vector<int>& chain, FoldedLayer& layer) const {
    const int node = chain.front();
    const std::span<const float> weight = values(node, 0);
    const Parameters::Entry& entry = parameters_.entries()[index(parameters_.of_node(node)[0])];
    const auto channels = static_cast<std::size_t>(graph::extent(entry.spec.axes.back()));
    Affine affine{std::vector<double>(channels, 1.0), std::vector<double>(channels, 0.0)};
    if (chain.size() > 1 && std::holds_alternative<graph::BatchNorm>(graph_.nodes[index(chain[1])].op)) {
      affine = batch_norm(chain[1]);
    }
    const bool bias = parameters_.of_node(node).size() > 1;
    const std::size_t inputs = weight.size() / channels;
    layer.weight.resize(weight.size());
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < inputs; ++i) {
        layer.weight[c * inputs + i] =
            static_cast<float>(static_cast<double>(weight[i * channels + c]) * affine.factor[c]);
      }
      const double own = bias ? static_cast<double>(values(node, 1)[c]) : 0.0;
      layer.bias.push_back(static_cast<float>(own * affine.factor[c] + affine.offset[c]));
    }
  }

  const graph::NetworkGraph& graph_;
  Parameters parameters_;
};

}  // namespace

std::vector<std::vector<int>> fused_chains(const graph::NetworkGraph& graph) {
  const auto program = program::lower_program(graph, program::plain_options());
  COSEARCH_CHECK(program.has_value(), "a malformed network is quantised");
  std::vector<std::vector<int>> chains;
  for (const program::KernelCall& call : program->calls) {
    if (chains.empty() || chains.back() != call.nodes) {  // an attention has several calls, one after the other
      chains.push_back(call.nodes);
    }
  }
  return chains;
}

std::vector<std::optional<FoldedLayer>> fold(const graph::NetworkGraph& graph, const WeightStore& weights) {
  std::vector<std::optional<FoldedLayer>> layers(graph.nodes.size());
  const Folding folding(graph, weights);
  for (const std::vector<int>& chain : fused_chains(graph)) {
    layers[index(chain.front())] = folding.layer(chain);
  }
  return layers;
}

}  // namespace cosearch::quantize
