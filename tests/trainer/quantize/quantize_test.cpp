#include "trainer/quantize/quantize.hpp"

#include <gtest/gtest.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"
#include "tests/oracle/quantized_forward.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/oracle/random_quantized.hpp"
#include "tests/trainer/quantize/stores.hpp"
#include "tests/trainer/train/networks.hpp"

namespace cosearch::quantize {
namespace {

constexpr std::int64_t kBatch = 4;
constexpr std::uint64_t kGraphs = 150;

/// A network with random weights, what it gives for random inputs, and what its integers are.
struct Problem {
  graph::NetworkGraph graph;
  oracle::Weights weights;
  std::vector<double> input;
  oracle::Forward naive;
  std::vector<ValueRange> ranges;

  Problem(graph::NetworkGraph network, std::uint64_t seed, double weight_factor = 1.0)
      : graph(std::move(network)),
        weights(oracle::random_weights(graph, seed)),
        input(oracle::random_input(graph, kBatch, seed)) {
    for (auto& [name, values] : weights) {
      std::transform(values.begin(), values.end(), values.begin(), [&](double value) {
        return static_cast<double>(static_cast<float>(value * (name.ends_with("variance") ? 1.0 : weight_factor)));
      });
    }
    naive = oracle::forward(graph, weights, input, kBatch, /*training=*/false);
    for (const graph::Node& node : graph.nodes) {
      ranges.push_back(range_of(naive.nodes.at(node.name).values));
    }
    for (const graph::Node& node : graph.nodes) {
      if (const auto mixture = naive.mixtures.find(node.name); mixture != naive.mixtures.end()) {
        ranges.push_back(range_of(mixture->second.hidden));
      }
    }
  }

  static ValueRange range_of(const std::vector<double>& values) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return {*low, *high};
  }

  /// The naive network's exponentials overflow for some of the weights.
  [[nodiscard]] bool is_finite() const {
    return std::all_of(naive.nodes.begin(), naive.nodes.end(), [](const auto& node) {
      const std::vector<double>& values = node.second.values;
      return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
    });
  }
  [[nodiscard]] QuantizedNetwork quantized() const { return quantize(graph, store_of(graph, weights), ranges); }
  [[nodiscard]] std::vector<std::int32_t> integers(const QuantizedNetwork& network, std::int64_t sample) const {
    const auto size = static_cast<std::int64_t>(input.size()) / kBatch;
    std::vector<std::int32_t> result;
    for (std::int64_t i = sample * size; i < (sample + 1) * size; ++i) {
      const double value = input[static_cast<std::size_t>(i)];
      result.push_back(graph::takes_token_ids(graph)
                           ? static_cast<std::int32_t>(value)
                           : std::int32_t{cosearch::quantize::quantized(value, network.values.front())});
    }
    return result;
  }
};

/// Of all the network's outputs: root of the mean squared error by their root mean square.
double relative_error(const Problem& problem) {
  const QuantizedNetwork network = problem.quantized();
  const auto last = static_cast<std::size_t>(problem.graph.outputs.front());
  const std::vector<double>& expected = problem.naive.nodes.at(problem.graph.nodes[last].name).values;
  double errors = 0.0;
  double squares = 0.0;
  std::size_t i = 0;
  for (std::int64_t sample = 0; sample < kBatch; ++sample) {
    const auto values = oracle::quantized_forward(network, problem.integers(network, sample));
    for (const std::int32_t value : values.at(last)) {
      const double error = real(static_cast<std::int8_t>(value), network.values[last]) - expected[i];
      errors += error * error;
      squares += expected[i] * expected[i];
      ++i;
    }
  }
  return squares > 0.0 ? std::sqrt(errors / squares) : std::sqrt(errors);
}

TEST(Quantize, IntegersGiveWhatTheNetworkGives) {
  std::vector<double> errors;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    graph::NetworkGraph graph = oracle::random_graph(seed);
    // Also, a token whose logits nearly tie may choose another expert.
    const bool narrow = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const graph::Node& node) {
      return std::visit(
          [](const auto& op) {
            if constexpr (requires { op.weight_bits; }) {
              return op.weight_bits == 4;
            }
            return std::is_same_v<std::decay_t<decltype(op)>, graph::MoeFfn>;
          },
          node.op);
    });
    const Problem problem(std::move(graph), seed);
    if (!problem.is_finite()) {
      continue;
    }
    const double error = relative_error(problem);
    EXPECT_LT(error, narrow ? 0.5 : 0.05) << "seed " << seed;
    if (!narrow) {
      errors.push_back(error);
    }
  }
  std::nth_element(errors.begin(), errors.begin() + std::ssize(errors) / 2, errors.end());
  EXPECT_LT(errors[errors.size() / 2], 0.02);
}

/// Of a mixture's tokens, the smallest difference between the logit of a chosen expert and that of another one.
double least_margin(const oracle::Mixture& mixture, std::int64_t token) {
  double chosen = std::numeric_limits<double>::infinity();
  double other = -chosen;
  for (std::int64_t e = 0; e < mixture.experts; ++e) {
    const auto at = static_cast<std::size_t>(token * mixture.experts + e);
    (mixture.chosen[at] ? chosen : other) =
        mixture.chosen[at] ? std::min(chosen, mixture.clean[at]) : std::max(other, mixture.clean[at]);
  }
  return chosen - other;
}

// Alone, so that a token's choice shows: where the logits do not tie nearly, the output is as near as a linear map's.
TEST(Quantize, MixturesGiveWhatTheyGiveWhereTheChoiceIsClear) {
  constexpr double kClear = 0.1;
  int clear = 0, tokens = 0;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    const Problem problem(oracle::random_operator(oracle::kOperatorKinds - 1, seed), seed);
    const oracle::Mixture& mixture = problem.naive.mixtures.begin()->second;
    const QuantizedNetwork network = problem.quantized();
    const auto last = static_cast<std::size_t>(problem.graph.outputs.front());
    const std::vector<double>& expected = problem.naive.nodes.at(problem.graph.nodes[last].name).values;
    const auto features = static_cast<std::int64_t>(problem.naive.nodes.at("op").shape.back());
    const double whole = problem.ranges[last].high - problem.ranges[last].low;
    for (std::int64_t sample = 0, i = 0; sample < kBatch; ++sample) {
      const auto values = oracle::quantized_forward(network, problem.integers(network, sample));
      for (const std::int32_t value : values.at(last)) {
        const std::int64_t token = i / features;
        if (least_margin(mixture, token) > kClear) {
          EXPECT_NEAR(real(static_cast<std::int8_t>(value), network.values[last]),
                      expected[static_cast<std::size_t>(i)], 0.05 * whole)
              << "seed " << seed << ", token " << token;
          ++clear;
        }
        ++tokens;
        ++i;
      }
    }
  }
  EXPECT_GT(clear, tokens / 2);
}

/// Of a mixture on int8.
void expect_mixture_bounds(const QuantizedLayer& layer, std::int64_t hidden_count, const std::string& name) {
  constexpr std::int64_t kBits30 = std::int64_t{1} << 30;
  const QuantizedMixture& mixture = layer.mixture.value();
  EXPECT_EQ(static_cast<std::int64_t>(mixture.hidden()), hidden_count) << name;
  const auto largest_sum = [](const std::vector<std::int8_t>& weights, const std::vector<std::int32_t>& biases,
                              std::size_t row) {
    const std::size_t length = weights.size() / biases.size();
    std::int64_t sum = std::abs(std::int64_t{biases[row]});
    for (std::size_t i = 0; i < length; ++i) {
      sum += 255 * std::abs(std::int64_t{weights[row * length + i]});
    }
    return sum;
  };
  for (std::size_t e = 0; e < mixture.experts(); ++e) {
    const std::int64_t logit = largest_sum(mixture.router, mixture.router_bias, e);
    EXPECT_LE(logit, kBits30) << name;
    EXPECT_LT(std::ldexp(2.0 * static_cast<double>(logit) * layer.softmax_multiplier, -layer.softmax_shift),
              std::ldexp(1.0, 31))
        << name;
  }
  for (std::size_t unit = 0; unit < mixture.b1.size(); ++unit) {
    const std::int64_t sum = largest_sum(mixture.w1, mixture.b1, unit);
    EXPECT_LE(sum, 2 * kBits30 - 1) << name;
    EXPECT_LE(std::ldexp(static_cast<double>(sum) * mixture.multiplier1[unit], -mixture.shift1),
              1.001 * static_cast<double>(kBits30))
        << name;
  }
  for (std::size_t row = 0; row < mixture.b2.size(); ++row) {
    const std::int64_t sum = largest_sum(mixture.w2, mixture.b2, row);
    EXPECT_LE(sum, kBits30) << name;
    EXPECT_LE(
        std::ldexp(1.5 * static_cast<double>(sum) * mixture.multiplier2[row % mixture.features()], -mixture.shift2),
        1.001 * static_cast<double>(kBits30))
        << name;
  }
}

/// The bounds that quantize() promises.
void expect_bounds(const QuantizedNetwork& network) {
  constexpr std::int64_t kBits30 = std::int64_t{1} << 30;
  const std::vector<graph::Shape> shapes = graph::infer_shapes(network.graph).value();
  for (const auto& layer : network.layers) {
    if (!layer) {
      continue;
    }
    const graph::Node& node = network.graph.nodes[static_cast<std::size_t>(layer->node)];
    const std::string& name = node.name;
    const auto magnitude = [](std::int64_t value) { return std::abs(value); };
    EXPECT_GE(layer->shift, 1) << name;
    EXPECT_LE(layer->shift, 62) << name;
    EXPECT_LE(layer->low, layer->high) << name;
    if (std::holds_alternative<graph::Conv2d>(node.op) || std::holds_alternative<graph::Linear>(node.op) ||
        std::holds_alternative<graph::PatchEmbed>(node.op)) {
      const std::size_t inputs = layer->weight.size() / layer->bias.size();
      for (std::size_t c = 0; c < layer->bias.size(); ++c) {
        std::int64_t sum = 0;
        for (std::size_t i = 0; i < inputs; ++i) {
          sum += magnitude(layer->weight[c * inputs + i]);
          EXPECT_LE(magnitude(layer->weight[c * inputs + i]), layer->weight_bits == 4 ? 7 : 127) << name;
        }
        EXPECT_LT(255 * sum, kBits30) << name;
        EXPECT_LE(magnitude(layer->bias[c]), kBits30) << name;
        const double largest = static_cast<double>(255 * sum + magnitude(layer->bias[c]));
        EXPECT_LE(std::ldexp(largest * layer->multiplier[c], -layer->shift), 1.001 * static_cast<double>(kBits30))
            << name;
      }
    } else if (std::holds_alternative<graph::Add>(node.op) || std::holds_alternative<graph::PositionEmbed>(node.op) ||
               std::holds_alternative<graph::BatchNorm>(node.op) || std::holds_alternative<graph::Concat>(node.op)) {
      const bool adds =
          !std::holds_alternative<graph::BatchNorm>(node.op) && !std::holds_alternative<graph::Concat>(node.op);
      const std::int64_t half = std::int64_t{1} << (layer->shift - 1);
      std::int64_t all = 0;
      for (std::size_t c = 0; c < layer->multiplier.size(); ++c) {
        const std::int64_t bias = layer->bias.empty() ? 0 : layer->bias[c];
        EXPECT_LE(magnitude(layer->multiplier[c]), std::int64_t{1} << 22) << name;
        EXPECT_LT(255 * magnitude(layer->multiplier[c]) + magnitude(bias) + half, std::int64_t{1} << 31) << name;
        all += magnitude(layer->multiplier[c]);
      }
      EXPECT_TRUE(!adds || 255 * all + half < std::int64_t{1} << 31) << name;
    } else if (std::holds_alternative<graph::LayerNorm>(node.op)) {
      EXPECT_GE(layer->epsilon, 1) << name;
      EXPECT_LE(layer->epsilon, std::int64_t{1} << 40) << name;
      for (const std::int32_t multiplier : layer->multiplier) {
        EXPECT_LE(std::ldexp(std::abs(static_cast<double>(multiplier)), 12 - layer->shift), 262144.001) << name;
      }
    } else if (const auto* moe = std::get_if<graph::MoeFfn>(&node.op)) {
      expect_mixture_bounds(*layer, moe->hidden, name);
    } else if (const auto* attention = std::get_if<graph::MultiHeadAttention>(&node.op)) {
      const std::int64_t head_dim = shapes[static_cast<std::size_t>(layer->node)][1] / attention->heads;
      const double exponent =
          std::ldexp(static_cast<double>(head_dim * 32768) * layer->softmax_multiplier, -layer->softmax_shift);
      EXPECT_LT(exponent, std::ldexp(1.0, 31)) << name;
      EXPECT_EQ(network.values[static_cast<std::size_t>(node.inputs.front())].zero_point, 0) << name;
    }
  }
}

TEST(Quantize, NothingOverflowsWhateverWeightsAndRangesAre) {
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    for (const double factor : {1.0, 1e-6, 1e4}) {
      Problem problem(oracle::random_graph(seed), seed, factor);
      if (!problem.is_finite()) {
        continue;
      }
      expect_bounds(problem.quantized());
      RngStream rng(seed, Purpose::subnet, 1);
      for (ValueRange& range : problem.ranges) {  // not what the network has
        const double size = std::pow(10.0, 12.0 * rng.uniform() - 9.0);
        range = {rng.uniform() < 0.5 ? 0.0 : -size, rng.uniform() < 0.1 ? 0.0 : size};
      }
      expect_bounds(problem.quantized());
    }
  }
}

TEST(Quantize, ZeroIsExactAndValuesShareWhereAnOperatorOnlySelects) {
  const Problem problem(test_networks::u_net({8, 8, 2}, 4, 3), 2);
  const QuantizedNetwork network = problem.quantized();
  for (std::size_t node = 0; node < network.graph.nodes.size(); ++node) {
    EXPECT_GE(network.values[node].zero_point, -128);
    EXPECT_LE(network.values[node].zero_point, 127);
    const graph::Node& source = network.graph.nodes[node];
    const auto* pool = std::get_if<graph::Pool2d>(&source.op);
    if ((pool != nullptr && pool->kind == graph::PoolKind::max) || std::holds_alternative<graph::Upsample>(source.op)) {
      EXPECT_EQ(network.values[node], network.values[static_cast<std::size_t>(source.inputs.front())]) << source.name;
    }
  }
}

TEST(Quantize, FusedActivationsClampOrLookUp) {
  const Problem problem(test_networks::cnn({8, 8, 2}, 4), 3);
  const QuantizedNetwork network = problem.quantized();
  const auto node_named = [&](const std::string& name) {
    return static_cast<std::size_t>(std::find_if(network.graph.nodes.begin(), network.graph.nodes.end(),
                                                 [&](const graph::Node& node) { return node.name == name; }) -
                                    network.graph.nodes.begin());
  };
  const QuantizedLayer& relu = *network.layers[node_named("stem.conv")];
  EXPECT_EQ(relu.low, network.values[node_named("stem.act")].zero_point);
  EXPECT_EQ(relu.high, 127);
  const QuantizedLayer& relu6 = *network.layers[node_named("down.conv")];
  const Quantization& clipped = network.values[node_named("down.act")];
  EXPECT_EQ(relu6.high, quantized(6.0, clipped));
  const QuantizedLayer& table = *network.layers[node_named("dw.conv")];
  ASSERT_EQ(table.table.size(), 256U);
  const Quantization& before = network.values[node_named("dw.bn")];
  const Quantization& after = network.values[node_named("dw.act")];
  EXPECT_EQ(table.table_zero_point, before.zero_point);
  for (std::int32_t q = -128; q < 128; ++q) {
    const double x = before.scale * (q - before.zero_point);
    const double y = x * std::min(std::max(x + 3.0, 0.0), 6.0) / 6.0;
    EXPECT_NEAR(after.scale * (table.table[static_cast<std::size_t>(q + 128)] - after.zero_point), y,
                0.5001 * after.scale);
  }
}

TEST(Ranges, SurviveTheJsonFormToTheBit) {
  const std::vector<ValueRange> ranges = {{-0.1, 1.0 / 3.0}, {0.0, 0.0}, {-1e-300, 6.02e23}};
  EXPECT_EQ(ranges_from_json(nlohmann::json::parse(to_json(ranges).dump())), ranges);
  for (const char* wrong : {"[[1, 0]]", "[[0]]", "[0, 1]", "{}", R"([["a", 1]])"}) {
    EXPECT_THROW(static_cast<void>(ranges_from_json(nlohmann::json::parse(wrong))), ConfigError) << wrong;
  }
}

TEST(Ranges, OfSeveralTasksAreAListAndOfOneTaskWhatTheyWere) {
  const std::vector<std::vector<ValueRange>> tasks = {{{-1.0, 2.0}, {0.0, 0.1}}, {{-3.0, 0.0}}};
  const nlohmann::json json = to_json(tasks);
  EXPECT_EQ(task_ranges_from_json(json, 0, 2), tasks[0]);
  EXPECT_EQ(task_ranges_from_json(json, 1, 2), tasks[1]);
  EXPECT_THROW(static_cast<void>(task_ranges_from_json(json, 0, 3)), ConfigError);
  const std::vector<std::vector<ValueRange>> alone = {tasks[0]};
  EXPECT_EQ(to_json(alone), to_json(tasks[0]));
  EXPECT_EQ(task_ranges_from_json(to_json(alone), 0, 1), tasks[0]);
}

const TaskData& synthetic() {
  static const TaskData data =
      make_synthetic_data({{"name", "synthetic"}, {"height", 8}, {"width", 8}, {"classes", 4}, {"train", 320}});
  return data;
}

TEST(Ranges, HoldWhatTheRuleKeepsForAnyNumberOfThreads) {
  const graph::NetworkGraph network = test_networks::cnn({8, 8, 1}, 4);
  const WeightStore store = WeightStore::for_network(network, 3);
  const std::vector<ValueRange> all = observe_ranges(network, store, synthetic(), {RangeRule::extremes, 0.0, 100});
  for (const RangeRule rule : {RangeRule::extremes, RangeRule::percentile, RangeRule::entropy}) {
    const QuantizeOptions options{rule, 99.0, 100};
    std::vector<std::vector<ValueRange>> found;
    for (const int threads : {1, 2, 4}) {
      tbb::task_arena arena(threads);
      arena.execute([&] { found.push_back(observe_ranges(network, store, synthetic(), options)); });
    }
    EXPECT_EQ(found[0], found[1]);
    EXPECT_EQ(found[0], found[2]);
    for (std::size_t node = 0; node < all.size(); ++node) {
      EXPECT_LE(all[node].low, found[0][node].low);
      EXPECT_GE(all[node].high, found[0][node].high);
    }
    const bool cuts = found[0] != all;
    EXPECT_EQ(cuts, rule != RangeRule::extremes);
  }
  EXPECT_NEAR(all.front().high - all.front().low, 1.0 / synthetic().std_dev, 1e-9);
  // relu has no negative values, and those of the batch norm before it are seen, too.
  EXPECT_EQ(all[3].low, 0.0);
  EXPECT_LT(all[2].low, 0.0);
}

}  // namespace
}  // namespace cosearch::quantize
