#include "tests/oracle/random_quantized.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>
#include <variant>

#include "spaces/base/rng.hpp"

namespace cosearch::oracle {
namespace {

using graph::Shape;
using quantize::Quantization;
using quantize::QuantizedLayer;

// Deviation that values get, whatever the layer: most of the range of int8, little of it cut off.
constexpr double kDeviation = 40.0;
// What a value may be multiplied by where the arithmetic is of 32 bits: two products of it and 255 fit.
constexpr int kNarrowBits = 20;
constexpr int kWideBits = 31;
constexpr int kNormMultiplierBits = 24;

bool is_linear_map(const graph::Op& op) {
  return std::holds_alternative<graph::Conv2d>(op) || std::holds_alternative<graph::Linear>(op) ||
         std::holds_alternative<graph::PatchEmbed>(op);
}

std::int64_t weight_bits(const graph::Op& op) {
  return std::visit(
      [](const auto& known) -> std::int64_t {
        if constexpr (requires { known.weight_bits; }) {
          return known.weight_bits;
        } else {
          return graph::kDefaultWeightBits;
        }
      },
      op);
}

class Generator {
 public:
  Generator(const graph::NetworkGraph& graph, std::uint64_t seed)
      : rng_(seed, Purpose::test, 100), shapes_(*graph::infer_shapes(graph)), network_{graph, {}, {}} {}

  quantize::QuantizedNetwork run() && {
    choose_fusion();
    choose_values();
    network_.layers.resize(nodes().size());
    for (std::size_t node = 0; node < nodes().size(); ++node) {
      if (!fused_[node]) {
        add_layer(node);
      }
    }
    return std::move(network_);
  }

 private:
  [[nodiscard]] const std::vector<graph::Node>& nodes() const { return network_.graph.nodes; }
  [[nodiscard]] const graph::Op& op(std::size_t node) const { return nodes()[node].op; }
  [[nodiscard]] std::size_t source(std::size_t node) const { return static_cast<std::size_t>(nodes()[node].inputs[0]); }

  double between(double low, double high) { return low + (high - low) * rng_.uniform(); }
  std::int64_t whole(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(high - low + 1)));
  }

  /// A batch norm goes into the linear map before it, an activation into that, an addition or a batch norm, where
  /// nothing else reads the value between.
  void choose_fusion() {
    fused_.resize(nodes().size(), false);
    last_.resize(nodes().size());
    for (std::size_t node = 0; node < nodes().size(); ++node) {
      last_[node] = node;
    }
    for (std::size_t node = 1; node < nodes().size(); ++node) {
      const std::size_t before = source(node);
      std::int64_t readers = std::count(network_.graph.outputs.begin(), network_.graph.outputs.end(), before);
      for (const graph::Node& reader : nodes()) {
        readers += std::count(reader.inputs.begin(), reader.inputs.end(), static_cast<int>(before));
      }
      const bool norm = std::holds_alternative<graph::BatchNorm>(op(node)) && is_linear_map(op(before));
      const bool activation = std::holds_alternative<graph::Activation>(op(node)) &&
                              (is_linear_map(op(before)) || std::holds_alternative<graph::Add>(op(before)) ||
                               std::holds_alternative<graph::BatchNorm>(op(before)));
      if (readers == 1 && (norm || activation)) {
        fused_[node] = true;
        for (std::size_t& last : last_) {
          last = last == before ? node : last;
        }
      }
    }
  }

  [[nodiscard]] bool is_table(std::size_t node) const {
    const auto* activation = std::get_if<graph::Activation>(&op(node));
    return activation != nullptr &&
           (activation->kind == graph::ActivationKind::gelu || activation->kind == graph::ActivationKind::hard_swish);
  }

  /// Whether the node's value has its input's scale and zero point.
  [[nodiscard]] bool keeps_quantization(std::size_t node) const {
    const auto* pool = std::get_if<graph::Pool2d>(&op(node));
    return (pool != nullptr && pool->kind == graph::PoolKind::max) ||
           std::holds_alternative<graph::Upsample>(op(node)) ||
           (std::holds_alternative<graph::Activation>(op(node)) && !fused_[node] && !is_table(node));
  }

  void choose_values() {
    std::vector<bool> symmetric(nodes().size(), false);
    for (std::size_t node = nodes().size(); node-- > 1;) {
      if (std::holds_alternative<graph::MultiHeadAttention>(op(node)) ||
          (symmetric[node] && keeps_quantization(node))) {
        symmetric[source(node)] = true;
      }
    }
    network_.values.resize(nodes().size());
    for (std::size_t node = 0; node < nodes().size(); ++node) {
      Quantization& value = network_.values[node];
      const std::int64_t most = whole(0, 7) == 0 ? 127 : 30;
      value = {between(0.04, 0.06), symmetric[node] ? 0 : static_cast<std::int32_t>(whole(-most - 1, most))};
      if (keeps_quantization(node)) {
        value = network_.values[source(node)];
      }
    }
  }

  /// Multipliers and the shift for these ratios; the largest multiplier has `bits` bits.
  void set_ratios(QuantizedLayer& layer, const std::vector<double>& ratios, int bits) {
    double largest = 0.0;
    for (const double ratio : ratios) {
      largest = std::max(largest, std::abs(ratio));
    }
    int exponent = 0;
    static_cast<void>(std::frexp(largest, &exponent));
    layer.shift = bits - exponent;
    layer.multiplier.clear();
    for (const double ratio : ratios) {
      const double most = std::ldexp(1.0, bits) - 1.0;
      layer.multiplier.push_back(static_cast<std::int32_t>(std::min(most, std::round(std::ldexp(ratio, layer.shift)))));
    }
  }

  std::vector<double> ratios(std::int64_t count, double middle) {
    std::vector<double> list;
    for (std::int64_t i = 0; i < count; ++i) {
      list.push_back(middle * between(0.5, 1.5));
    }
    return list;
  }

  std::vector<std::int32_t> random_bias(std::int64_t count, double most) {
    std::vector<std::int32_t> list;
    for (std::int64_t i = 0; i < count; ++i) {
      list.push_back(static_cast<std::int32_t>(most * between(-1.0, 1.0)));
    }
    return list;
  }

  std::vector<std::int8_t> random_weights(std::int64_t count, std::int64_t most) {
    std::vector<std::int8_t> list;
    for (std::int64_t i = 0; i < count; ++i) {
      list.push_back(static_cast<std::int8_t>(whole(-most, most)));
    }
    return list;
  }

  void add_layer(std::size_t node) {
    QuantizedLayer layer;
    layer.node = static_cast<int>(node);
    if (std::visit([&](const auto& known) { return fill(known, node, layer); }, op(node))) {
      set_output(node, layer);
      network_.layers[node] = std::move(layer);
    }
  }

  /// Clamps and tables: those of the activation that is fused, or of the node itself.
  void set_output(std::size_t node, QuantizedLayer& layer) {
    const auto* activation = std::get_if<graph::Activation>(&op(last_[node]));
    if (activation == nullptr) {
      return;
    }
    const Quantization& output = network_.values[last_[node]];
    if (!is_table(last_[node])) {
      layer.low = output.zero_point;
      layer.high = activation->kind == graph::ActivationKind::relu6 ? std::min(127, output.zero_point + 90) : 127;
      return;
    }
    layer.table_zero_point = static_cast<std::int32_t>(whole(-20, 20));
    const Quantization input{between(0.04, 0.06),
                             last_[node] == node ? network_.values[source(node)].zero_point : layer.table_zero_point};
    layer.table = table_of(activation->kind, input, output);
  }

  static std::vector<std::int8_t> table_of(graph::ActivationKind kind, const Quantization& input,
                                           const Quantization& output) {
    std::vector<std::int8_t> table;
    for (std::int32_t x = -128; x <= 127; ++x) {
      const double value = quantize::real(static_cast<std::int8_t>(x), input);
      const double y = kind == graph::ActivationKind::gelu ? value * 0.5 * std::erfc(-value / std::numbers::sqrt2)
                                                           : value * std::clamp(value + 3.0, 0.0, 6.0) / 6.0;
      table.push_back(quantize::quantized(y, output));
    }
    return table;
  }

  // One overload per operator: fills its integers; false where it has none.

  bool fill(const graph::Input& /*op*/, std::size_t /*node*/, QuantizedLayer& /*layer*/) { return false; }
  bool fill(const graph::Upsample& /*op*/, std::size_t /*node*/, QuantizedLayer& /*layer*/) { return false; }
  bool fill(const graph::Activation& /*op*/, std::size_t /*node*/, QuantizedLayer& /*layer*/) { return true; }

  /// The deviation of a sum of `inputs` products with weights of up to `most`, in that of a value.
  static double growth(std::int64_t inputs, std::int64_t most) {
    return std::sqrt(static_cast<double>(inputs)) * static_cast<double>(2 * most + 1) / std::sqrt(12.0);
  }
  bool fill_linear_map(std::size_t node, std::int64_t inputs, QuantizedLayer& layer) {
    const std::int64_t outputs = shapes_[node].back();
    layer.weight_bits = weight_bits(op(node));
    const std::int64_t most = layer.weight_bits == 4 ? 7 : 127;
    layer.weight = random_weights(outputs * inputs, most);
    set_ratios(layer, ratios(outputs, 1.0 / growth(inputs, most)), kWideBits);
    layer.bias = random_bias(outputs, growth(inputs, most) * kDeviation);
    return true;
  }
  bool fill(const graph::Conv2d& conv, std::size_t node, QuantizedLayer& layer) {
    return fill_linear_map(node, conv.kernel_h * conv.kernel_w * shapes_[source(node)].back() / conv.groups, layer);
  }
  bool fill(const graph::Linear& /*op*/, std::size_t node, QuantizedLayer& layer) {
    return fill_linear_map(node, shapes_[source(node)].back(), layer);
  }
  bool fill(const graph::PatchEmbed& patch, std::size_t node, QuantizedLayer& layer) {
    return fill_linear_map(node, patch.patch * patch.patch * shapes_[source(node)].back(), layer);
  }

  bool fill(const graph::MultiHeadAttention& attention, std::size_t node, QuantizedLayer& layer) {
    const std::int64_t head_dim = shapes_[node].back() / attention.heads;
    // Scores spread over some octaves, 2^10 each.
    set_ratios(layer,
               {between(1.0, 3.0) * 1024.0 / (std::sqrt(static_cast<double>(head_dim)) * kDeviation * kDeviation)},
               kWideBits);
    layer.softmax_multiplier = layer.multiplier[0];
    layer.softmax_shift = layer.shift;
    set_ratios(layer, {std::ldexp(between(1.0, 2.0), -quantize::kMeanBits)}, kWideBits);
    return true;
  }
  bool fill(const graph::BatchNorm& /*op*/, std::size_t node, QuantizedLayer& layer) {
    std::vector<double> factors = ratios(shapes_[node].back(), 1.0);
    for (double& factor : factors) {
      factor *= whole(0, 1) == 0 ? -1.0 : 1.0;
    }
    set_ratios(layer, factors, kNarrowBits);
    layer.bias = random_bias(shapes_[node].back(), std::ldexp(kDeviation, layer.shift));
    return true;
  }
  bool fill(const graph::LayerNorm& /*op*/, std::size_t node, QuantizedLayer& layer) {
    const std::int64_t n = shapes_[node].back();
    std::vector<double> factors = ratios(n, kDeviation / 4096.0);
    for (double& factor : factors) {
      factor *= whole(0, 1) == 0 ? -1.0 : 1.0;
    }
    set_ratios(layer, factors, kNormMultiplierBits);
    layer.bias = random_bias(n, std::ldexp(kDeviation, layer.shift - quantize::kNormBits));
    layer.epsilon = whole(0, n * n);
    return true;
  }
  bool fill(const graph::Pool2d& pool, std::size_t /*node*/, QuantizedLayer& layer) {
    if (pool.kind == graph::PoolKind::max) {
      return false;
    }
    set_ratios(layer, ratios(1, 1.0 / static_cast<double>(pool.kernel * pool.kernel)), kWideBits);
    return true;
  }
  bool fill(const graph::GlobalAveragePool& /*op*/, std::size_t node, QuantizedLayer& layer) {
    const std::int64_t positions = graph::elements(shapes_[source(node)]) / shapes_[node].back();
    set_ratios(layer, ratios(1, 2.0 / static_cast<double>(positions)), kWideBits);
    return true;
  }
  bool fill(const graph::Add& /*op*/, std::size_t /*node*/, QuantizedLayer& layer) {
    set_ratios(layer, ratios(2, 0.7), kNarrowBits);
    return true;
  }
  bool fill(const graph::PositionEmbed& /*op*/, std::size_t node, QuantizedLayer& layer) {
    layer.weight = random_weights(graph::elements(shapes_[node]), 127);
    set_ratios(layer, ratios(2, 0.6), kNarrowBits);
    return true;
  }
  bool fill(const graph::Concat& /*op*/, std::size_t node, QuantizedLayer& layer) {
    set_ratios(layer, ratios(static_cast<std::int64_t>(nodes()[node].inputs.size()), 1.0), kNarrowBits);
    return true;
  }
  bool fill(const graph::MoeFfn& op, std::size_t node, QuantizedLayer& layer) {
    const std::int64_t features = shapes_[node].back();
    quantize::QuantizedMixture mixture;
    mixture.top_k = op.top_k;
    mixture.router = random_weights(op.experts * features, 127);
    mixture.router_bias = random_bias(op.experts, growth(features, 127) * kDeviation);
    make_ties(features, mixture);
    // Logits spread over some octaves, 2^10 each.
    set_ratios(layer, {between(0.2, 2.0) * 1024.0 / (growth(features, 127) * kDeviation)}, kWideBits);
    layer.softmax_multiplier = layer.multiplier[0];
    layer.softmax_shift = layer.shift;
    mixture.w1 = random_weights(op.experts * op.hidden * features, 127);
    mixture.b1 = random_bias(op.experts * op.hidden, growth(features, 127) * kDeviation);
    set_ratios(layer, ratios(op.experts * op.hidden, 1.0 / growth(features, 127)), kWideBits);
    mixture.multiplier1 = layer.multiplier;
    mixture.shift1 = layer.shift;
    mixture.table_zero_point = static_cast<std::int32_t>(whole(-20, 20));
    const Quantization hidden{between(0.01, 0.02), static_cast<std::int32_t>(whole(-128, -90))};
    mixture.hidden_zero_point = hidden.zero_point;
    mixture.table = table_of(graph::ActivationKind::gelu, {between(0.02, 0.03), mixture.table_zero_point}, hidden);
    mixture.w2 = random_weights(op.experts * op.hidden * features, 127);
    mixture.b2 = random_bias(op.experts * features, growth(op.hidden, 127) * kDeviation);
    set_ratios(layer, ratios(features, 1.5 / growth(op.hidden, 127)), kWideBits);
    mixture.multiplier2 = std::exchange(layer.multiplier, {});
    mixture.shift2 = std::exchange(layer.shift, 1);
    layer.mixture = std::move(mixture);
    return true;
  }
  /// Makes some experts' logits always equal to others'.
  void make_ties(std::int64_t features, quantize::QuantizedMixture& mixture) {
    for (std::size_t e = 1; e < mixture.experts(); ++e) {
      if (whole(0, 3) == 0) {
        const auto from = mixture.router.begin() + static_cast<std::ptrdiff_t>(e - 1) * features;
        std::copy_n(from, features, from + features);
        mixture.router_bias[e] = mixture.router_bias[e - 1];
      }
    }
  }
  bool fill(const graph::TokenEmbed& embed, std::size_t /*node*/, QuantizedLayer& layer) {
    layer.weight = random_weights(embed.vocabulary * embed.width, 127);
    return true;
  }

  RngStream rng_;
  std::vector<Shape> shapes_;
  quantize::QuantizedNetwork network_;
  std::vector<bool> fused_;        ///< part of a call of an earlier node
  std::vector<std::size_t> last_;  ///< of each node, the last one that is fused with it
};

}  // namespace

quantize::QuantizedNetwork random_quantized(const graph::NetworkGraph& graph, std::uint64_t seed) {
  return Generator(graph, seed).run();
}

std::vector<std::int32_t> random_quantized_input(const graph::NetworkGraph& graph, std::uint64_t seed) {
  RngStream rng(seed, Purpose::test, 101);
  std::uint64_t vocabulary = 0;
  for (const graph::Node& node : graph.nodes) {
    if (const auto* embed = std::get_if<graph::TokenEmbed>(&node.op)) {
      vocabulary = static_cast<std::uint64_t>(embed->vocabulary);
    }
  }
  std::vector<std::int32_t> input;
  for (std::int64_t i = 0; i < graph::elements(std::get<graph::Input>(graph.nodes.at(0).op).shape); ++i) {
    input.push_back(vocabulary > 0 ? static_cast<std::int32_t>(rng.below(vocabulary))
                                   : static_cast<std::int32_t>(rng.below(256)) - 128);
  }
  return input;
}

std::vector<std::int8_t> input_bytes(const graph::NetworkGraph& graph, const std::vector<std::int32_t>& input) {
  std::vector<std::int8_t> bytes;
  for (const std::int32_t value : input) {
    if (graph::takes_token_ids(graph)) {
      const auto four = std::bit_cast<std::array<std::int8_t, sizeof(value)>>(value);
      bytes.insert(bytes.end(), four.begin(), four.end());
    } else {
      bytes.push_back(static_cast<std::int8_t>(value));
    }
  }
  return bytes;
}

}  // namespace cosearch::oracle
