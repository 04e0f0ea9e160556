#include "tests/oracle/naive_network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <variant>

#include "spaces/base/rng.hpp"
#include "tests/oracle/naive_moe.hpp"

namespace cosearch::oracle {
namespace {

using graph::Shape;

std::int64_t product(const Shape& shape) {
  std::int64_t result = 1;
  for (const std::int64_t extent : shape) {
    result *= extent;
  }
  return result;
}

/// What an operator sees: its node's name, its inputs, all weights.
struct Context {
  std::string name;
  std::vector<const Batch*> inputs;
  const Weights* weights = nullptr;
  std::int64_t batch = 1;
  bool training = false;
  Forward* result = nullptr;
  std::optional<std::uint64_t> noise_seed = std::nullopt;

  [[nodiscard]] const Batch& input(std::size_t i = 0) const { return *inputs.at(i); }
  [[nodiscard]] const std::vector<double>& weight(const std::string& suffix) const {
    return weights->at(name + "." + suffix);
  }
};

double& at(std::vector<double>& values, std::int64_t index) { return values.at(static_cast<std::size_t>(index)); }
double at(const std::vector<double>& values, std::int64_t index) { return values.at(static_cast<std::size_t>(index)); }

/// Element (n, y, x, c) of images; `outside` beyond the border.
double pixel(const Batch& images, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, double outside) {
  const std::int64_t height = images.shape.at(0);
  const std::int64_t width = images.shape.at(1);
  if (y < 0 || y >= height || x < 0 || x >= width) {
    return outside;
  }
  return at(images.values, ((n * height + y) * width + x) * images.shape.at(2) + c);
}

Batch make(const Context& context, Shape shape) {
  Batch batch{std::move(shape), {}};
  batch.values.assign(static_cast<std::size_t>(context.batch * product(batch.shape)), 0.0);
  return batch;
}

/// Calls f(position, feature, index) for each element, where a position is everything but the last axis.
template <class F>
void for_each_feature(const Context& context, const Shape& shape, F f) {
  const std::int64_t features = shape.back();
  const std::int64_t positions = context.batch * product(shape) / features;
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t c = 0; c < features; ++c) {
      f(p, c, p * features + c);
    }
  }
}

Batch run(const graph::Input& /*op*/, const Context& context) { return context.input(); }

Batch run(const graph::Conv2d& op, const Context& context) {
  const Batch& x = context.input();
  const std::vector<double>& w = context.weight("weight");
  const std::int64_t out_h = (x.shape.at(0) + op.padding.top + op.padding.bottom - op.kernel_h) / op.stride + 1;
  const std::int64_t out_w = (x.shape.at(1) + op.padding.left + op.padding.right - op.kernel_w) / op.stride + 1;
  const std::int64_t group_in = x.shape.at(2) / op.groups;
  const std::int64_t group_out = op.out_channels / op.groups;
  Batch y = make(context, {out_h, out_w, op.out_channels});
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(y.values.size()); ++i) {
    const std::int64_t k = i % op.out_channels;
    const std::int64_t column = i / op.out_channels % out_w;
    const std::int64_t row = i / op.out_channels / out_w % out_h;
    const std::int64_t n = i / op.out_channels / out_w / out_h;
    double sum = op.bias ? at(context.weight("bias"), k) : 0.0;
    for (std::int64_t dy = 0; dy < op.kernel_h; ++dy) {
      for (std::int64_t dx = 0; dx < op.kernel_w; ++dx) {
        for (std::int64_t c = 0; c < group_in; ++c) {
          sum += pixel(x, n, row * op.stride + dy - op.padding.top, column * op.stride + dx - op.padding.left,
                       k / group_out * group_in + c, 0.0) *
                 at(w, ((dy * op.kernel_w + dx) * group_in + c) * op.out_channels + k);
        }
      }
    }
    at(y.values, i) = sum;
  }
  return y;
}

Batch run(const graph::Linear& op, const Context& context) {
  const Batch& x = context.input();
  const std::vector<double>& w = context.weight("weight");
  const std::int64_t in = x.shape.back();
  const std::int64_t out = product(op.out_factors);
  Shape shape = x.shape;
  shape.back() = out;
  Batch y = make(context, shape);
  for_each_feature(context, shape, [&](std::int64_t position, std::int64_t o, std::int64_t index) {
    double sum = op.bias ? at(context.weight("bias"), o) : 0.0;
    for (std::int64_t i = 0; i < in; ++i) {
      sum += at(x.values, position * in + i) * at(w, i * out + o);
    }
    at(y.values, index) = sum;
  });
  return y;
}

Batch run(const graph::MultiHeadAttention& op, const Context& context) {
  const Batch& x = context.input();
  const std::int64_t tokens = x.shape.at(0);
  const std::int64_t features = x.shape.at(1) / 3;
  const std::int64_t head_dim = features / op.heads;
  Batch y = make(context, {tokens, features});
  // part: 0 query, 1 key, 2 value
  const auto qkv = [&](std::int64_t n, std::int64_t t, std::int64_t part, std::int64_t head, std::int64_t d) {
    return at(x.values, (n * tokens + t) * 3 * features + (part * op.heads + head) * head_dim + d);
  };
  for (std::int64_t n = 0; n < context.batch; ++n) {
    for (std::int64_t head = 0; head < op.heads; ++head) {
      for (std::int64_t i = 0; i < tokens; ++i) {
        std::vector<double> weight;
        double sum = 0.0;
        for (std::int64_t j = 0; j < tokens; ++j) {
          double score = 0.0;
          for (std::int64_t d = 0; d < head_dim; ++d) {
            score += qkv(n, i, 0, head, d) * qkv(n, j, 1, head, d);
          }
          weight.push_back(std::exp(score / std::sqrt(static_cast<double>(head_dim))));
          sum += weight.back();
        }
        for (std::int64_t d = 0; d < head_dim; ++d) {
          double& out = at(y.values, (n * tokens + i) * features + head * head_dim + d);
          for (std::int64_t j = 0; j < tokens; ++j) {
            out += at(weight, j) / sum * qkv(n, j, 2, head, d);
          }
        }
      }
    }
  }
  return y;
}

Batch run(const graph::BatchNorm& op, const Context& context) {
  const Batch& x = context.input();
  std::vector<double> mean = context.weight("running_mean");
  std::vector<double> variance = context.weight("running_variance");
  if (context.training) {
    const double count = static_cast<double>(x.values.size()) / static_cast<double>(mean.size());
    std::fill(mean.begin(), mean.end(), 0.0);
    std::fill(variance.begin(), variance.end(), 0.0);
    for_each_feature(context, x.shape, [&](std::int64_t /*position*/, std::int64_t c, std::int64_t index) {
      at(mean, c) += at(x.values, index) / count;
    });
    for_each_feature(context, x.shape, [&](std::int64_t /*position*/, std::int64_t c, std::int64_t index) {
      at(variance, c) += std::pow(at(x.values, index) - at(mean, c), 2.0) / count;
    });
    const auto blend = [&](const std::string& suffix, const std::vector<double>& batch) {
      std::vector<double> running = context.weight(suffix);
      for (std::size_t c = 0; c < running.size(); ++c) {
        running[c] = (1.0 - op.momentum) * running[c] + op.momentum * batch[c];
      }
      context.result->states[context.name + "." + suffix] = running;
    };
    blend("running_mean", mean);
    blend("running_variance", variance);
  }
  Batch y = make(context, x.shape);
  for_each_feature(context, x.shape, [&](std::int64_t /*position*/, std::int64_t c, std::int64_t index) {
    at(y.values, index) =
        (at(x.values, index) - at(mean, c)) / std::sqrt(at(variance, c) + op.epsilon) * at(context.weight("scale"), c) +
        at(context.weight("shift"), c);
  });
  return y;
}

Batch run(const graph::LayerNorm& op, const Context& context) {
  const Batch& x = context.input();
  const std::int64_t features = x.shape.back();
  Batch y = make(context, x.shape);
  for_each_feature(context, x.shape, [&](std::int64_t position, std::int64_t c, std::int64_t index) {
    double mean = 0.0;
    double variance = 0.0;
    for (std::int64_t i = 0; i < features; ++i) {
      mean += at(x.values, position * features + i) / static_cast<double>(features);
    }
    for (std::int64_t i = 0; i < features; ++i) {
      variance += std::pow(at(x.values, position * features + i) - mean, 2.0) / static_cast<double>(features);
    }
    at(y.values, index) =
        (at(x.values, index) - mean) / std::sqrt(variance + op.epsilon) * at(context.weight("scale"), c) +
        at(context.weight("shift"), c);
  });
  return y;
}

Batch run(const graph::Activation& op, const Context& context) {
  Batch y = context.input();
  for (double& value : y.values) {
    switch (op.kind) {
      case graph::ActivationKind::relu:
        value = value > 0.0 ? value : 0.0;
        break;
      case graph::ActivationKind::relu6:
        value = std::min(std::max(value, 0.0), 6.0);
        break;
      case graph::ActivationKind::hard_swish:
        value *= std::min(std::max(value + 3.0, 0.0), 6.0) / 6.0;
        break;
      case graph::ActivationKind::gelu:
        value *= 0.5 * std::erfc(-value / std::numbers::sqrt2);
        break;
    }
  }
  return y;
}

Batch run(const graph::Pool2d& op, const Context& context) {
  const Batch& x = context.input();
  const bool average = op.kind == graph::PoolKind::average;
  const double outside = average ? 0.0 : -std::numeric_limits<double>::infinity();
  const std::int64_t out_h = (x.shape.at(0) + op.padding.top + op.padding.bottom - op.kernel) / op.stride + 1;
  const std::int64_t out_w = (x.shape.at(1) + op.padding.left + op.padding.right - op.kernel) / op.stride + 1;
  const std::int64_t channels = x.shape.at(2);
  Batch y = make(context, {out_h, out_w, channels});
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(y.values.size()); ++i) {
    const std::int64_t column = i / channels % out_w;
    const std::int64_t row = i / channels / out_w % out_h;
    double sum = 0.0;
    double largest = -std::numeric_limits<double>::infinity();
    for (std::int64_t dy = 0; dy < op.kernel; ++dy) {
      for (std::int64_t dx = 0; dx < op.kernel; ++dx) {
        const double value = pixel(x, i / channels / out_w / out_h, row * op.stride + dy - op.padding.top,
                                   column * op.stride + dx - op.padding.left, i % channels, outside);
        sum += value;
        largest = std::max(largest, value);
      }
    }
    at(y.values, i) = average ? sum / static_cast<double>(op.kernel * op.kernel) : largest;
  }
  return y;
}

Batch run(const graph::GlobalAveragePool& /*op*/, const Context& context) {
  const Batch& x = context.input();
  const std::int64_t features = x.shape.back();
  const std::int64_t positions = product(x.shape) / features;
  Batch y = make(context, {features});
  for_each_feature(context, x.shape, [&](std::int64_t position, std::int64_t c, std::int64_t index) {
    at(y.values, position / positions * features + c) += at(x.values, index) / static_cast<double>(positions);
  });
  return y;
}

Batch run(const graph::Add& /*op*/, const Context& context) {
  Batch y = context.input(0);
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    y.values[i] += context.input(1).values.at(i);
  }
  return y;
}

Batch run(const graph::Concat& /*op*/, const Context& context) {
  Shape shape = context.input(0).shape;
  const std::int64_t positions = context.batch * product(shape) / shape.back();
  shape.back() = 0;
  for (const Batch* input : context.inputs) {
    shape.back() += input->shape.back();
  }
  Batch y{shape, {}};
  for (std::int64_t position = 0; position < positions; ++position) {
    for (const Batch* input : context.inputs) {
      const auto first = input->values.begin() + static_cast<std::ptrdiff_t>(position * input->shape.back());
      y.values.insert(y.values.end(), first, first + static_cast<std::ptrdiff_t>(input->shape.back()));
    }
  }
  return y;
}

Batch run(const graph::Upsample& op, const Context& context) {
  const Batch& x = context.input();
  Batch y = make(context, {op.factor * x.shape.at(0), op.factor * x.shape.at(1), x.shape.at(2)});
  for_each_feature(context, y.shape, [&](std::int64_t position, std::int64_t c, std::int64_t index) {
    const std::int64_t column = position % y.shape.at(1);
    const std::int64_t row = position / y.shape.at(1) % y.shape.at(0);
    const std::int64_t n = position / y.shape.at(1) / y.shape.at(0);
    at(y.values, index) = pixel(x, n, row / op.factor, column / op.factor, c, 0.0);
  });
  return y;
}

Batch run(const graph::PatchEmbed& op, const Context& context) {
  const Batch& x = context.input();
  const std::vector<double>& w = context.weight("weight");
  const std::int64_t rows = (x.shape.at(0) + 2 * op.padding) / op.patch;
  const std::int64_t columns = (x.shape.at(1) + 2 * op.padding) / op.patch;
  const std::int64_t channels = x.shape.at(2);
  Batch y = make(context, {rows * columns, op.embed_dim});
  for_each_feature(context, y.shape, [&](std::int64_t position, std::int64_t e, std::int64_t index) {
    const std::int64_t n = position / (rows * columns);
    const std::int64_t row = position % (rows * columns) / columns;
    const std::int64_t column = position % columns;
    double sum = at(context.weight("bias"), e);
    for (std::int64_t dy = 0; dy < op.patch; ++dy) {
      for (std::int64_t dx = 0; dx < op.patch; ++dx) {
        for (std::int64_t c = 0; c < channels; ++c) {
          sum += pixel(x, n, row * op.patch + dy - op.padding, column * op.patch + dx - op.padding, c, 0.0) *
                 at(w, ((dy * op.patch + dx) * channels + c) * op.embed_dim + e);
        }
      }
    }
    at(y.values, index) = sum;
  });
  return y;
}

Batch run(const graph::PositionEmbed& /*op*/, const Context& context) {
  Batch y = context.input();
  const std::vector<double>& embedding = context.weight("embedding");
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    y.values[i] += embedding.at(i % embedding.size());
  }
  return y;
}

Batch run(const graph::TokenEmbed& op, const Context& context) {
  const Batch& ids = context.input();
  const std::vector<double>& table = context.weight("embedding");
  Batch y = make(context, {ids.shape.at(0), op.width});
  for_each_feature(context, y.shape, [&](std::int64_t position, std::int64_t e, std::int64_t index) {
    at(y.values, index) = at(table, static_cast<std::int64_t>(at(ids.values, position)) * op.width + e);
  });
  return y;
}

Batch run(const graph::MoeFfn& op, const Context& context) {
  const auto weight = [&](const std::string& suffix) -> const std::vector<double>& { return context.weight(suffix); };
  const Batch& x = context.input();
  Mixture& mixture = context.result->mixtures[context.name];
  mixture = route(op, context.name, x, context.batch, context.noise_seed, weight);
  return {x.shape, mix(op, x, mixture, weight)};
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

Forward forward(const graph::NetworkGraph& graph, const Weights& weights, const std::vector<double>& input,
                std::int64_t batch, bool training, std::optional<std::uint64_t> noise_seed) {
  Forward result;
  const Batch given{std::get<graph::Input>(graph.nodes.at(0).op).shape, input};
  if (static_cast<std::int64_t>(input.size()) != batch * product(given.shape)) {
    throw std::invalid_argument("the input has another size than batch * shape");
  }
  std::vector<const Batch*> outputs;
  for (const graph::Node& node : graph.nodes) {
    Context context{node.name, {}, &weights, batch, training, &result, noise_seed};
    for (const int source : node.inputs) {
      context.inputs.push_back(outputs.at(static_cast<std::size_t>(source)));
    }
    if (node.inputs.empty()) {
      context.inputs.push_back(&given);
    }
    result.nodes[node.name] = std::visit([&](const auto& op) { return run(op, context); }, node.op);
    outputs.push_back(&result.nodes[node.name]);
  }
  return result;
}

std::vector<double> random_values(std::int64_t count, std::uint64_t seed, std::uint64_t stream) {
  RngStream rng{seed, Purpose::test, stream};
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) {
    value = rng.normal();
  }
  return values;
}

std::vector<double> random_input(const graph::NetworkGraph& graph, std::int64_t batch, std::uint64_t seed,
                                 double deviation) {
  const std::int64_t size = batch * product(std::get<graph::Input>(graph.nodes.at(0).op).shape);
  std::vector<double> values = random_values(size, seed, 1);
  for (double& value : values) {
    value *= deviation;
  }
  RngStream rng{seed, Purpose::test, 2};
  for (const graph::Node& node : graph.nodes) {
    if (const auto* embed = std::get_if<graph::TokenEmbed>(&node.op)) {
      for (double& value : values) {
        value = static_cast<double>(rng.below(static_cast<std::uint64_t>(embed->vocabulary)));
      }
    }
  }
  return values;
}

Weights random_weights(const graph::NetworkGraph& graph, std::uint64_t seed) {
  Weights result;
  std::uint64_t stream = 1'000'000;
  for (const graph::WeightSpec& spec : graph::weights(graph)) {
    std::vector<double> values = random_values(spec.elements(), seed, stream++);
    for (double& value : values) {
      if (ends_with(spec.name, ".running_variance")) {
        value = 0.5 + value * value / (1.0 + value * value);
      } else {
        value = 0.5 * value + (ends_with(spec.name, ".scale") ? 1.0 : 0.0);
      }
    }
    result[spec.name] = std::move(values);
  }
  return result;
}

}  // namespace cosearch::oracle
