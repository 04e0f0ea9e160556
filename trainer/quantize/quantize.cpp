#include "trainer/quantize/quantize.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "spaces/base/check.hpp"
#include "trainer/quantize/fixed_point.hpp"
#include "trainer/quantize/integer_rows.hpp"
#include "trainer/quantize/quantize_mixture.hpp"
#include "trainer/quantize/values.hpp"

namespace cosearch::quantize {
namespace {

constexpr double kMost32BitFactor = 1048576.0;   // 2^20
constexpr double kMost32BitOffset = 67108864.0;  // 2^26
constexpr double kMostNormFactor = 262144.0;     // 2^18

std::size_t index(int i) { return static_cast<std::size_t>(i); }

double largest_magnitude(const std::vector<float>& values) {
  double largest = 0.0;
  for (const float value : values) {
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  return largest;
}

/// Whether the operator only chooses among the int8 values of its input.
bool only_selects(const graph::Op& op) {
  const auto* pool = std::get_if<graph::Pool2d>(&op);
  return (pool != nullptr && pool->kind == graph::PoolKind::max) || std::holds_alternative<graph::Upsample>(op);
}

class Quantizer {
 public:
  Quantizer(const graph::NetworkGraph& graph, const WeightStore& weights, const std::vector<ValueRange>& ranges)
      : graph_(graph),
        shapes_(graph::infer_shapes(graph).value()),
        groups_(graph),
        ranges_(ranges),
        folded_(fold(graph, weights)),
        values_(value_quantizations(graph, ranges)) {}

  QuantizedNetwork run() && {
    QuantizedNetwork network{graph_, {}, std::vector<std::optional<QuantizedLayer>>(graph_.nodes.size())};
    for (const std::vector<int>& chain : groups_.chains) {
      const graph::Op& op = graph_.nodes[index(chain.front())].op;
      if (only_selects(op)) {
        continue;
      }
      QuantizedLayer layer;
      layer.node = chain.front();
      std::visit([&](const auto& concrete) { quantize(concrete, chain, layer); }, op);
      finish(chain, layer);
      network.layers[index(chain.front())] = std::move(layer);
    }
    for (const int own : groups_.own) {
      network.values.push_back(values_[index(own)]);
    }
    return network;
  }

 private:
  [[nodiscard]] const graph::Shape& shape(int node) const { return shapes_[index(node)]; }
  [[nodiscard]] const graph::Shape& input_shape(const std::vector<int>& chain) const {
    return shape(graph_.nodes[index(chain.front())].inputs.front());
  }
  [[nodiscard]] const FoldedLayer& folded(const std::vector<int>& chain) const {
    return *folded_[index(chain.front())];
  }
  [[nodiscard]] const Quantization& value(int node) const { return values_[index(groups_.own[index(node)])]; }
  [[nodiscard]] const Quantization& input(const std::vector<int>& chain, std::size_t i = 0) const {
    return value(graph_.nodes[index(chain.front())].inputs[i]);
  }
  [[nodiscard]] int target_node(const std::vector<int>& chain) const {
    return groups_.own[index(table_input(graph_, chain).value_or(chain.back()))];
  }

  /// How what a chain computes is stored or looked up, with a scale of at least `least`.
  const Quantization& target(const std::vector<int>& chain, double least) {
    const auto own = index(target_node(chain));
    if (values_[own].scale < least) {
      values_[own] = quantization_of(ranges_[own], groups_.symmetric[own], least);
    }
    return values_[own];
  }

  void set_multipliers(const std::vector<double>& factors, QuantizedLayer& layer) const {
    FixedPoint fixed = fixed_point(factors);
    layer.multiplier = std::move(fixed.multiplier);
    layer.shift = fixed.shift;
  }

  void quantize_map(const std::vector<int>& chain, std::int64_t bits, QuantizedLayer& layer) {
    const double x = input(chain).scale;
    IntegerRows channels;
    std::vector<double> factors;
    double least = 0.0;
    for (const RealRow& row : real_rows(folded(chain).weight, folded(chain).bias)) {
      const double scale = row_scale(row, x, bits);
      channels.add(row, scale, x, bits);
      // What is always 0 needs no factor, and might have a huge one.
      factors.push_back(channels.bound.back() > 0.0 ? x * scale : 0.0);
      least = std::max(least, x * scale * channels.bound.back() / kBits30);
    }
    const double scale = target(chain, least).scale;
    for (double& factor : factors) {
      factor /= scale;
    }
    layer.weight = std::move(channels.weight);
    layer.weight_bits = bits;
    layer.bias = std::move(channels.bias);
    set_multipliers(factors, layer);
  }

  void quantize(const graph::Input& /*op*/, const std::vector<int>& /*chain*/, QuantizedLayer& /*layer*/) {
    COSEARCH_CHECK(false, "an input is no call");
  }
  void quantize(const graph::Upsample& /*op*/, const std::vector<int>& /*chain*/, QuantizedLayer& /*layer*/) {
    COSEARCH_CHECK(false, "an upsampling has no numbers of its own");
  }
  void quantize(const graph::Conv2d& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    quantize_map(chain, op.weight_bits, layer);
  }
  void quantize(const graph::Linear& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    quantize_map(chain, op.weight_bits, layer);
  }
  void quantize(const graph::PatchEmbed& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    quantize_map(chain, op.weight_bits, layer);
  }

  void quantize(const graph::MultiHeadAttention& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    const auto tokens = static_cast<double>(shape(chain.front())[0]);
    const auto head_dim = static_cast<double>(shape(chain.front())[1] / op.heads);
    COSEARCH_CHECK(tokens < 65536.0, "rows of scores have fewer than 65,536 tokens");
    const double qkv = input(chain).scale;
    const double exponents = static_cast<double>(std::int64_t{1} << kExponentBits);
    const double most = 2.0 * kBits30 / (head_dim * 32768.0);
    const double factor = std::min(qkv * qkv / std::sqrt(head_dim) * std::numbers::log2e * exponents, most);
    const FixedPoint softmax = fixed_point(std::vector<double>{factor});
    layer.softmax_multiplier = softmax.multiplier.front();
    layer.softmax_shift = softmax.shift;
    const double mean = std::ldexp(qkv, -kMeanBits);
    const double scale = target(chain, mean * std::ldexp(257.0, kMeanBits - 1) / kBits30).scale;
    set_multipliers({mean / scale}, layer);
  }

  void quantize(const graph::Add& /*op*/, const std::vector<int>& chain, QuantizedLayer& layer) {
    set_32_bit_sum(chain, input(chain, 0).scale, input(chain, 1).scale, layer);
  }
  void quantize(const graph::PositionEmbed& /*op*/, const std::vector<int>& chain, QuantizedLayer& layer) {
    const std::vector<float>& embedding = folded(chain).weight;
    const Quantization weight{std::max(largest_magnitude(embedding) / kHighest, kLeastScale), 0};
    for (const float value : embedding) {
      layer.weight.push_back(quantized(static_cast<double>(value), weight));
    }
    set_32_bit_sum(chain, input(chain).scale, weight.scale, layer);
  }
  void set_32_bit_sum(const std::vector<int>& chain, double a, double b, QuantizedLayer& layer) {
    const double scale = target(chain, std::max(a, b) / kMost32BitFactor).scale;
    const Summands sum{.factors = (a + b) / scale, .largest = std::max(a, b) / scale, .offset = 0.0};
    layer.shift = shift_of_32_bits({&sum, 1});
    layer.multiplier = {scaled(a / scale, layer.shift), scaled(b / scale, layer.shift)};
  }

  void quantize(const graph::BatchNorm& /*op*/, const std::vector<int>& chain, QuantizedLayer& layer) {
    const FoldedLayer& norm = folded(chain);
    const double x = input(chain).scale;
    const double scale = target(chain, std::max(x * largest_magnitude(norm.weight) / kMost32BitFactor,
                                                largest_magnitude(norm.bias) / kMost32BitOffset))
                             .scale;
    std::vector<Summands> elements;
    for (std::size_t c = 0; c < norm.weight.size(); ++c) {
      const double factor = std::abs(x * static_cast<double>(norm.weight[c]) / scale);
      elements.push_back({factor, factor, static_cast<double>(norm.bias[c]) / scale});
    }
    layer.shift = shift_of_32_bits(elements);
    for (std::size_t c = 0; c < norm.weight.size(); ++c) {
      layer.multiplier.push_back(scaled(x * static_cast<double>(norm.weight[c]) / scale, layer.shift));
      layer.bias.push_back(scaled(elements[c].offset, layer.shift));
    }
  }

  void quantize(const graph::LayerNorm& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    const FoldedLayer& norm = folded(chain);
    const double scale = target(chain, std::max(largest_magnitude(norm.weight) / kMostNormFactor,
                                                largest_magnitude(norm.bias) / (kBits30 / 2.0)))
                             .scale;
    std::vector<double> factors;  // of z and of bias, which have kNormBits behind the point
    for (const std::vector<float>* part : {&norm.weight, &norm.bias}) {
      for (const float value : *part) {
        factors.push_back(std::ldexp(static_cast<double>(value) / scale, -kNormBits));
      }
    }
    FixedPoint fixed = fixed_point(factors, std::int64_t{1} << 30);
    const auto split = fixed.multiplier.begin() + static_cast<std::ptrdiff_t>(norm.weight.size());
    layer.multiplier.assign(fixed.multiplier.begin(), split);
    layer.bias.assign(split, fixed.multiplier.end());
    layer.shift = fixed.shift;
    const auto width = static_cast<double>(norm.weight.size());
    const double x = input(chain).scale;
    layer.epsilon =
        static_cast<std::int64_t>(std::clamp(std::round(width * width * op.epsilon / (x * x)), 1.0, 1024.0 * kBits30));
  }

  void quantize(const graph::Pool2d& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    set_mean(chain, static_cast<double>(op.kernel * op.kernel), layer);
  }
  void quantize(const graph::GlobalAveragePool& /*op*/, const std::vector<int>& chain, QuantizedLayer& layer) {
    const graph::Shape& in = input_shape(chain);
    set_mean(chain, static_cast<double>(graph::elements(in) / in.back()), layer);
  }
  void set_mean(const std::vector<int>& chain, double count, QuantizedLayer& layer) {
    const double x = input(chain).scale;
    set_multipliers({x / (count * target(chain, x * kDifference / kBits30).scale)}, layer);
  }

  void quantize(const graph::Concat& /*op*/, const std::vector<int>& chain, QuantizedLayer& layer) {
    const std::size_t inputs = graph_.nodes[index(chain.front())].inputs.size();
    double largest = 0.0;
    for (std::size_t i = 0; i < inputs; ++i) {
      largest = std::max(largest, input(chain, i).scale);
    }
    const double scale = target(chain, largest / kMost32BitFactor).scale;
    const Summands sum{.factors = largest / scale, .largest = largest / scale, .offset = 0.0};
    layer.shift = shift_of_32_bits({&sum, 1});
    for (std::size_t i = 0; i < inputs; ++i) {
      layer.multiplier.push_back(scaled(input(chain, i).scale / scale, layer.shift));
    }
  }

  void quantize(const graph::MoeFfn& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    MixtureIntegers integers =
        quantize_mixture(op, *folded(chain).mixture, input(chain), ranges_[hidden_value(graph_, chain.front())]);
    const double scale = target(chain, integers.least_scale).scale;
    for (double& factor : integers.factors) {
      factor /= scale;
    }
    FixedPoint fixed = fixed_point(integers.factors);
    integers.layer.mixture->multiplier2 = std::move(fixed.multiplier);
    integers.layer.mixture->shift2 = fixed.shift;
    integers.layer.node = layer.node;
    layer = std::move(integers.layer);
  }

  void quantize(const graph::TokenEmbed& /*op*/, const std::vector<int>& chain, QuantizedLayer& layer) {
    for (const float entry : folded(chain).weight) {
      layer.weight.push_back(quantized(static_cast<double>(entry), value(chain.back())));
    }
  }

  void quantize(const graph::Activation& op, const std::vector<int>& chain, QuantizedLayer& layer) {
    if (is_table(op.kind)) {
      layer.table = activation_table(op.kind, input(chain), value(chain.back()));
    }
  }

  /// The activation at the chain's end.
  void finish(const std::vector<int>& chain, QuantizedLayer& layer) const {
    const auto* activation = std::get_if<graph::Activation>(&graph_.nodes[index(chain.back())].op);
    if (activation == nullptr) {
      return;
    }
    const Quantization& y = value(chain.back());
    if (const std::optional<int> before = table_input(graph_, chain)) {
      layer.table = activation_table(activation->kind, value(*before), y);
      layer.table_zero_point = value(*before).zero_point;
    } else if (!is_table(activation->kind)) {
      layer.low = y.zero_point;
      layer.high = activation->kind == graph::ActivationKind::relu6 ? quantized(6.0, y) : kHighest;
    }
  }

  const graph::NetworkGraph& graph_;
  std::vector<graph::Shape> shapes_;
  ValueGroups groups_;
  const std::vector<ValueRange>& ranges_;
  std::vector<std::optional<FoldedLayer>> folded_;
  std::vector<Quantization> values_;  ///< of the nodes that groups_.own names
};

}  // namespace

QuantizedNetwork quantize(const graph::NetworkGraph& graph, const WeightStore& weights,
                          const std::vector<ValueRange>& ranges) {
  return Quantizer(graph, weights, ranges).run();
}

}  // namespace cosearch::quantize
