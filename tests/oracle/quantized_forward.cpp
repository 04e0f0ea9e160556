#include "tests/oracle/quantized_forward.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <variant>

namespace cosearch::oracle {
namespace {

using graph::Shape;
using quantize::QuantizedLayer;
using Values = std::vector<std::int32_t>;
__extension__ using Wide = __int128;

/// The nearest integer to value / 2^shift, halves up, by division that rounds down.
std::int64_t nearest(Wide value, int shift) {
  const Wide divisor = Wide{1} << shift;
  const Wide doubled = 2 * value + divisor;  // floor(value / divisor + 1/2)
  Wide quotient = doubled / (2 * divisor);
  if (doubled % (2 * divisor) < 0) {
    --quotient;
  }
  return static_cast<std::int64_t>(quotient);
}

/// What an operator sees.
struct Site {
  const QuantizedLayer* layer = nullptr;
  std::vector<const Values*> inputs;
  std::vector<const Shape*> input_shapes;
  std::vector<std::int64_t> input_zeros;
  const Shape* shape = nullptr;
  std::int64_t zero = 0;  ///< of the output, behind what is fused

  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(graph::elements(*shape)); }
  [[nodiscard]] std::int64_t features() const { return shape->back(); }
  /// Input without its zero point.
  [[nodiscard]] std::int64_t centred(std::size_t which, std::int64_t i) const {
    return inputs.at(which)->at(static_cast<std::size_t>(i)) - input_zeros.at(which);
  }
  /// Pixel (y, x) of the first input, channel c, without its zero point; 0 beyond the border.
  [[nodiscard]] std::int64_t pixel(std::int64_t y, std::int64_t x, std::int64_t c) const {
    const Shape& image = *input_shapes[0];
    const bool inside = y >= 0 && x >= 0 && y < image[0] && x < image[1];
    return inside ? centred(0, (y * image[1] + x) * image[2] + c) : 0;
  }
  /// F(zy' + value), as an integer.
  [[nodiscard]] std::int32_t finished(std::int64_t value) const {
    if (layer->table.empty()) {
      return static_cast<std::int32_t>(std::clamp<std::int64_t>(zero + value, layer->low, layer->high));
    }
    const std::int64_t entry = std::clamp<std::int64_t>(layer->table_zero_point + value, -128, 127) + 128;
    return layer->table.at(static_cast<std::size_t>(entry));
  }
  [[nodiscard]] std::int64_t multiplier(std::int64_t i) const {
    return layer->multiplier.at(static_cast<std::size_t>(i));
  }
  [[nodiscard]] std::int64_t bias(std::int64_t i) const { return layer->bias.at(static_cast<std::size_t>(i)); }
  [[nodiscard]] std::int64_t weight(std::int64_t i) const { return layer->weight.at(static_cast<std::size_t>(i)); }
};

/// A tensor of the output's shape from f(index, index / features, index % features).
template <class F>
Values each(const Site& site, F f) {
  Values values(site.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    values[i] = static_cast<std::int32_t>(f(index, index / site.features(), index % site.features()));
  }
  return values;
}

/// A convolution's sum for output channel k at (row, column).
std::int64_t window_sum(const Site& site, const graph::Conv2d& op, std::int64_t row, std::int64_t column,
                        std::int64_t k) {
  const std::int64_t inputs = site.input_shapes[0]->at(2) / op.groups;
  const std::int64_t first = k / (op.out_channels / op.groups) * inputs;
  std::int64_t sum = 0;
  for (std::int64_t dy = 0; dy < op.kernel_h; ++dy) {
    for (std::int64_t dx = 0; dx < op.kernel_w; ++dx) {
      for (std::int64_t c = 0; c < inputs; ++c) {
        sum += site.pixel(row * op.stride + dy - op.padding.top, column * op.stride + dx - op.padding.left, first + c) *
               site.weight(((k * op.kernel_h + dy) * op.kernel_w + dx) * inputs + c);
      }
    }
  }
  return sum;
}

Values convolve(const Site& site, const graph::Conv2d& op, std::int64_t columns) {
  return each(site, [&](std::int64_t /*i*/, std::int64_t position, std::int64_t k) {
    const std::int64_t sum = window_sum(site, op, position / columns, position % columns, k);
    return site.finished(nearest(Wide{site.bias(k) + sum} * site.multiplier(k), site.layer->shift));
  });
}

Values run(const graph::Input& /*op*/, const Site& site) { return *site.inputs.at(0); }

Values run(const graph::Conv2d& op, const Site& site) { return convolve(site, op, site.shape->at(1)); }

Values run(const graph::PatchEmbed& op, const Site& site) {
  const graph::Conv2d conv{.out_channels = op.embed_dim,
                           .kernel_h = op.patch,
                           .kernel_w = op.patch,
                           .stride = op.patch,
                           .padding = {op.padding, op.padding, op.padding, op.padding}};
  return convolve(site, conv, (site.input_shapes[0]->at(1) + 2 * op.padding) / op.patch);
}

Values run(const graph::Linear& /*op*/, const Site& site) {
  const std::int64_t inputs = site.input_shapes[0]->back();
  return each(site, [&](std::int64_t /*i*/, std::int64_t position, std::int64_t k) {
    std::int64_t sum = site.bias(k);
    for (std::int64_t c = 0; c < inputs; ++c) {
      sum += site.centred(0, position * inputs + c) * site.weight(k * inputs + c);
    }
    return site.finished(nearest(Wide{sum} * site.multiplier(k), site.layer->shift));
  });
}

/// Weights of one row of scores, 0 to 255: exponentials relative to the largest.
std::vector<std::int64_t> softmax(const Site& site, const std::vector<std::int64_t>& scores) {
  const std::int64_t largest = *std::max_element(scores.begin(), scores.end());
  std::vector<std::int64_t> weights;
  for (const std::int64_t score : scores) {
    const std::int64_t exponent =
        nearest(Wide{largest - score} * site.layer->softmax_multiplier, site.layer->softmax_shift);
    const std::int64_t exponential =
        exponent < quantize::kLargestExponent ? quantize::exponential(static_cast<std::int32_t>(exponent)) : 0;
    weights.push_back(std::min<std::int64_t>(nearest(Wide{exponential}, 7), 255));
  }
  return weights;
}

Values run(const graph::MultiHeadAttention& op, const Site& site) {
  const std::int64_t tokens = site.shape->at(0);
  const std::int64_t features = site.features();
  const std::int64_t head_dim = features / op.heads;
  return each(site, [&](std::int64_t /*i*/, std::int64_t t, std::int64_t feature) {
    const std::int64_t head = feature / head_dim;
    const auto qkv = [&](std::int64_t token, std::int64_t part, std::int64_t d) {
      return site.centred(0, (token * 3 + part) * features + head * head_dim + d);
    };
    std::vector<std::int64_t> scores(static_cast<std::size_t>(tokens), 0);
    for (std::int64_t j = 0; j < tokens; ++j) {
      for (std::int64_t d = 0; d < head_dim; ++d) {
        scores[static_cast<std::size_t>(j)] += qkv(t, 0, d) * qkv(j, 1, d);
      }
    }
    const std::vector<std::int64_t> weights = softmax(site, scores);
    std::int64_t sum = 0;
    std::int64_t total = 0;
    for (std::int64_t j = 0; j < tokens; ++j) {
      sum += weights[static_cast<std::size_t>(j)] * qkv(j, 2, feature % head_dim);
      total += weights[static_cast<std::size_t>(j)];
    }
    const quantize::MeanScale scale = quantize::mean_scale(static_cast<std::uint32_t>(total));
    const std::int64_t mean = nearest(Wide{sum} * scale.reciprocal, scale.shift);
    return site.finished(nearest(Wide{mean} * site.multiplier(0), site.layer->shift));
  });
}

Values run(const graph::BatchNorm& /*op*/, const Site& site) {
  return each(site, [&](std::int64_t i, std::int64_t /*position*/, std::int64_t c) {
    return site.finished(nearest(site.centred(0, i) * site.multiplier(c) + site.bias(c), site.layer->shift));
  });
}

Values run(const graph::LayerNorm& /*op*/, const Site& site) {
  const std::int64_t n = site.features();
  return each(site, [&](std::int64_t i, std::int64_t position, std::int64_t e) {
    std::int64_t sum = 0, squares = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const std::int64_t x = site.inputs[0]->at(static_cast<std::size_t>(position * n + j));
      sum += x;
      squares += x * x;
    }
    const std::int64_t variance = std::max<std::int64_t>(1, n * squares - sum * sum + site.layer->epsilon);
    const auto [reciprocal, shift] = quantize::reciprocal_root(static_cast<std::uint64_t>(variance));
    const std::int64_t difference = n * site.inputs[0]->at(static_cast<std::size_t>(i)) - sum;
    const std::int64_t z = nearest(Wide{difference} * reciprocal, shift - 12);
    return site.finished(nearest(Wide{z} * site.multiplier(e) + Wide{site.bias(e)} * 4096, site.layer->shift));
  });
}

Values run(const graph::Activation& /*op*/, const Site& site) {
  return each(site, [&](std::int64_t i, std::int64_t /*position*/, std::int64_t /*c*/) {
    const std::int32_t x = site.inputs[0]->at(static_cast<std::size_t>(i));
    return site.layer->table.empty() ? std::clamp(x, site.layer->low, site.layer->high)
                                     : site.layer->table.at(static_cast<std::size_t>(std::int64_t{x} + 128));
  });
}

Values run(const graph::Pool2d& op, const Site& site) {
  const Shape& image = *site.input_shapes[0];
  const std::int64_t columns = site.shape->at(1);
  return each(site, [&](std::int64_t /*i*/, std::int64_t position, std::int64_t c) -> std::int64_t {
    std::int64_t sum = 0, largest = -128;
    for (std::int64_t dy = 0; dy < op.kernel; ++dy) {
      for (std::int64_t dx = 0; dx < op.kernel; ++dx) {
        const std::int64_t y = position / columns * op.stride + dy - op.padding.top;
        const std::int64_t x = position % columns * op.stride + dx - op.padding.left;
        sum += site.pixel(y, x, c);
        if (y >= 0 && x >= 0 && y < image[0] && x < image[1]) {
          largest = std::max(largest, site.pixel(y, x, c) + site.input_zeros[0]);
        }
      }
    }
    return op.kind == graph::PoolKind::max ? largest
                                           : site.finished(nearest(Wide{sum} * site.multiplier(0), site.layer->shift));
  });
}

Values run(const graph::GlobalAveragePool& /*op*/, const Site& site) {
  return each(site, [&](std::int64_t /*i*/, std::int64_t /*position*/, std::int64_t c) {
    std::int64_t sum = 0;
    for (std::int64_t at = c; at < graph::elements(*site.input_shapes[0]); at += site.features()) {
      sum += site.centred(0, at);
    }
    return site.finished(nearest(Wide{sum} * site.multiplier(0), site.layer->shift));
  });
}

Values run(const graph::Add& /*op*/, const Site& site) {
  return each(site, [&](std::int64_t i, std::int64_t /*position*/, std::int64_t /*c*/) {
    const std::int64_t sum = site.centred(0, i) * site.multiplier(0) + site.centred(1, i) * site.multiplier(1);
    return site.finished(nearest(sum, site.layer->shift));
  });
}

Values run(const graph::PositionEmbed& /*op*/, const Site& site) {
  return each(site, [&](std::int64_t i, std::int64_t /*position*/, std::int64_t /*c*/) {
    return site.finished(
        nearest(site.centred(0, i) * site.multiplier(0) + site.weight(i) * site.multiplier(1), site.layer->shift));
  });
}

Values run(const graph::Concat& /*op*/, const Site& site) {
  return each(site, [&](std::int64_t /*i*/, std::int64_t position, std::int64_t c) {
    std::size_t which = 0;
    while (c >= site.input_shapes[which]->back()) {
      c -= site.input_shapes[which++]->back();
    }
    const std::int64_t x = site.centred(which, position * site.input_shapes[which]->back() + c);
    return site.finished(nearest(x * site.multiplier(static_cast<std::int64_t>(which)), site.layer->shift));
  });
}

Values run(const graph::Upsample& op, const Site& site) {
  const std::int64_t columns = site.shape->at(1);
  return each(site, [&](std::int64_t /*i*/, std::int64_t position, std::int64_t c) {
    return site.pixel(position / columns / op.factor, position % columns / op.factor, c) + site.input_zeros[0];
  });
}

/// A mixture of experts on one token, in 64 bits.
class MixtureToken {
 public:
  MixtureToken(const Site& site, const graph::MoeFfn& op, std::int64_t token)
      : site_(site), mixture_(site.layer->mixture.value()), op_(op), token_(token) {
    for (std::int64_t e = 0; e < op.experts; ++e) {
      logits_.push_back(at(mixture_.router_bias, e) + product(mixture_.router, e));
    }
    const std::int64_t largest = *std::max_element(logits_.begin(), logits_.end());
    for (const std::int64_t logit : logits_) {
      const std::int64_t exponent =
          nearest(Wide{largest - logit} * site.layer->softmax_multiplier, site.layer->softmax_shift);
      exponentials_.push_back(
          exponent < quantize::kLargestExponent ? quantize::exponential(static_cast<std::int32_t>(exponent)) : 0);
    }
    for (std::int64_t unit = 0; unit < op.experts * op.hidden; ++unit) {
      hidden_.push_back(chosen(unit / op.hidden) ? hidden(unit) : 0);
    }
  }

  /// Of output feature c.
  [[nodiscard]] std::int64_t output(std::int64_t c) const {
    std::int64_t sum = 0;
    for (std::int64_t e = 0; e < op_.experts; ++e) {
      if (!chosen(e)) {
        continue;
      }
      std::int64_t a = at(mixture_.b2, e * site_.features() + c);
      for (std::int64_t h = 0; h < op_.hidden; ++h) {
        a += (at(hidden_, e * op_.hidden + h) - mixture_.hidden_zero_point) *
             at(mixture_.w2, (e * site_.features() + c) * op_.hidden + h);
      }
      sum += nearest(Wide{share(e)} * a, 15);
    }
    return site_.finished(nearest(Wide{sum} * at(mixture_.multiplier2, c), mixture_.shift2));
  }

 private:
  template <class T>
  static std::int64_t at(const std::vector<T>& values, std::int64_t i) {
    return values.at(static_cast<std::size_t>(i));
  }
  [[nodiscard]] std::int64_t product(const std::vector<std::int8_t>& weights, std::int64_t row) const {
    std::int64_t sum = 0;
    for (std::int64_t c = 0; c < site_.features(); ++c) {
      sum += site_.centred(0, token_ * site_.features() + c) * at(weights, row * site_.features() + c);
    }
    return sum;
  }
  /// Fewer than top_k experts have a larger logit, or the same and a lower number.
  [[nodiscard]] bool chosen(std::int64_t e) const {
    std::int64_t before = 0;
    for (std::int64_t other = 0; other < op_.experts; ++other) {
      const std::int64_t difference = at(logits_, other) - at(logits_, e);
      before += difference > 0 || (difference == 0 && other < e) ? 1 : 0;
    }
    return before < op_.top_k;
  }
  [[nodiscard]] std::int64_t share(std::int64_t e) const {
    const std::int64_t total = std::accumulate(exponentials_.begin(), exponentials_.end(), std::int64_t{0});
    return (at(exponentials_, e) * 32768 + total / 2) / total;
  }
  [[nodiscard]] std::int64_t hidden(std::int64_t unit) const {
    const std::int64_t sum = at(mixture_.b1, unit) + product(mixture_.w1, unit);
    const std::int64_t before =
        mixture_.table_zero_point + nearest(Wide{sum} * at(mixture_.multiplier1, unit), mixture_.shift1);
    return at(mixture_.table, std::clamp<std::int64_t>(before, -128, 127) + 128);
  }

  const Site& site_;
  const quantize::QuantizedMixture& mixture_;
  const graph::MoeFfn& op_;
  std::int64_t token_;
  std::vector<std::int64_t> logits_, exponentials_;
  std::vector<std::int64_t> hidden_;  ///< of chosen experts
};

Values run(const graph::MoeFfn& op, const Site& site) {
  std::vector<MixtureToken> tokens;
  for (std::int64_t t = 0; t < site.shape->at(0); ++t) {
    tokens.emplace_back(site, op, t);
  }
  return each(site, [&](std::int64_t /*i*/, std::int64_t t, std::int64_t c) {
    return tokens.at(static_cast<std::size_t>(t)).output(c);
  });
}

Values run(const graph::TokenEmbed& /*op*/, const Site& site) {
  return each(site, [&](std::int64_t /*i*/, std::int64_t t, std::int64_t e) {
    return site.weight(site.inputs[0]->at(static_cast<std::size_t>(t)) * site.features() + e);
  });
}

bool is_fused(const quantize::QuantizedNetwork& network, std::size_t node) {
  const graph::Op& op = network.graph.nodes.at(node).op;
  return !network.layers.at(node) &&
         (std::holds_alternative<graph::BatchNorm>(op) || std::holds_alternative<graph::Activation>(op));
}

}  // namespace

std::vector<Values> quantized_forward(const quantize::QuantizedNetwork& network, const Values& input) {
  const std::vector<graph::Node>& nodes = network.graph.nodes;
  const std::vector<Shape> shapes = *graph::infer_shapes(network.graph);
  // The zero point of a value is that of the last node of what is fused with it.
  std::vector<std::int64_t> zeros(nodes.size());
  for (std::size_t node = nodes.size(); node-- > 0;) {
    zeros[node] = network.values[node].zero_point;
    for (std::size_t later = node + 1; later < nodes.size(); ++later) {
      if (is_fused(network, later) && nodes[later].inputs[0] == static_cast<int>(node)) {
        zeros[node] = zeros[later];
      }
    }
  }
  std::vector<Values> values(nodes.size());
  for (std::size_t node = 0; node < nodes.size(); ++node) {
    Site site;
    site.layer = network.layers[node] ? &*network.layers[node] : nullptr;
    site.shape = &shapes[node];
    site.zero = zeros[node];
    for (const int source : nodes[node].inputs) {
      const auto at = static_cast<std::size_t>(source);
      site.inputs.push_back(&values[at]);
      site.input_shapes.push_back(&shapes[at]);
      site.input_zeros.push_back(zeros[at]);
    }
    if (node == 0) {
      site.inputs.push_back(&input);
    }
    values[node] = is_fused(network, node)
                       ? *site.inputs.at(0)
                       : std::visit([&site](const auto& op) { return run(op, site); }, nodes[node].op);
    if (values[node].size() != site.size()) {
      throw std::logic_error("a value of another size than its shape");
    }
  }
  return values;
}

}  // namespace cosearch::oracle
