#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "spaces/graph/graph.hpp"
#include "spaces/ir/interpreter.hpp"
#include "tests/oracle/naive_moe.hpp"
#include "tests/oracle/naive_network.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch::graph {
namespace {

constexpr std::uint64_t kSeeds = 25;

std::map<std::string, ir::Values> given_values(const NetworkGraph& graph, const oracle::Weights& weights,
                                               const std::vector<double>& input, std::int64_t batch) {
  std::map<std::string, ir::Values> given;
  for (const WeightSpec& spec : graph::weights(graph)) {
    given[spec.name] = {spec.shape(), weights.at(spec.name)};
  }
  Shape shape = {batch};
  const Shape& sample = std::get<Input>(graph.nodes[0].op).shape;
  shape.insert(shape.end(), sample.begin(), sample.end());
  given["input"] = {shape, input};
  return given;
}

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 1e-9 * (1.0 + std::abs(expected[i]))) << what << " element " << i;
  }
}

/// Every node's tensor of the interpreted workload against the naive forward pass.
void expect_lowering_equals_naive_forward(const NetworkGraph& graph, std::int64_t batch, std::uint64_t seed) {
  const oracle::Weights weights = oracle::random_weights(graph, seed);
  const std::vector<double> input = oracle::random_input(graph, batch, seed, 3.0);
  const oracle::Forward naive = oracle::forward(graph, weights, input, batch, false);
  const ir::Workload workload = lower(graph, Phase::inference, batch, {}, oracle::token_histograms(naive, batch));
  ASSERT_THAT(ir::validate(workload), testing::IsEmpty());

  const auto tensors = ir::interpret(workload, given_values(graph, weights, input, batch));
  ASSERT_TRUE(tensors.has_value()) << tensors.error();
  for (const auto& [name, values] : naive.nodes) {
    expect_near(tensors->at(name).data, values.values, name);
  }
}

TEST(Lower, InterpretedInferenceEqualsTheNaiveForwardForEveryOperator) {
  for (std::size_t kind = 1; kind < oracle::kOperatorKinds; ++kind) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      const NetworkGraph graph = oracle::random_operator(kind, seed);
      SCOPED_TRACE(to_text(lower(graph, Phase::inference, 2, {})));
      expect_lowering_equals_naive_forward(graph, 1 + static_cast<std::int64_t>(seed % 3), seed);
      if (HasFatalFailure()) {
        return;
      }
    }
  }
}

TEST(Lower, InterpretedInferenceEqualsTheNaiveForwardForNetworks) {
  expect_lowering_equals_naive_forward(oracle::small_residual_network(), 2, 1);
  expect_lowering_equals_naive_forward(oracle::small_transformer(), 2, 2);
  expect_lowering_equals_naive_forward(oracle::small_u_net(), 2, 3);
  expect_lowering_equals_naive_forward(oracle::small_text_network(), 2, 4);
}

/// Whether the loop runs over what an opaque einsum chooses from or adds to, one element for each that it moves: what a
/// scatter does not read, or others do not write. (A top_k compares all.)
bool chooses(const ir::Einsum& einsum, int loop) {
  if (!einsum.opaque || einsum.opaque->kind == "top_k") {
    return false;
  }
  const auto names = [loop](const ir::AxisIndex& axis) {
    return std::any_of(axis.terms.begin(), axis.terms.end(),
                       [loop](const ir::Term& term) { return term.loop == loop; });
  };
  const ir::Access& moved =
      einsum.opaque->kind == "scatter_add" ? std::get<ir::Access>(einsum.operands[1]) : einsum.output;
  return std::none_of(moved.axes.begin(), moved.axes.end(), names);
}

TEST(Lower, CountsInClosedFormEqualTheCountedIterationsOfTheLowering) {
  std::vector<NetworkGraph> graphs = {oracle::small_residual_network(), oracle::small_u_net(),
                                      oracle::small_text_network(), oracle::small_transformer()};
  for (std::size_t kind = 1; kind < oracle::kOperatorKinds; ++kind) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      graphs.push_back(oracle::random_operator(kind, seed));
    }
  }
  for (const NetworkGraph& graph : graphs) {
    // Brute force: each iteration of each nest is visited and counted by what it does. A gather takes one element for
    // each of its output's, however many rows it chooses from.
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> counted;
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> stated;
    for (const ir::Einsum& einsum : lower(graph, Phase::inference, 1, {}).einsums) {
      const auto tensors = std::count_if(einsum.operands.begin(), einsum.operands.end(),
                                         [](const ir::Operand& o) { return std::holds_alternative<ir::Access>(o); });
      const bool is_mac = einsum.combine == ir::Combine::mul && einsum.reduce == ir::Reduce::sum && tensors >= 2;
      std::vector<std::int64_t> values(einsum.loops.size(), 0);
      for (bool more = true; more;) {
        ++(is_mac ? counted[einsum.source].first : counted[einsum.source].second);
        more = false;
        for (std::size_t i = values.size(); i-- > 0 && !more;) {
          more = !chooses(einsum, static_cast<int>(i)) && ++values[i] < einsum.loops[i].extent;
          values[i] = more ? values[i] : 0;
        }
      }
      stated[einsum.source].first += ir::operation_counts(einsum).macs;
      stated[einsum.source].second += ir::operation_counts(einsum).elementwise;
    }
    const std::vector<NodeCounts> counts = node_counts(graph);
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const std::string& name = graph.nodes[i].name;
      EXPECT_EQ(counts[i].macs, counted[name].first) << to_text(lower(graph, Phase::inference, 1, {}));
      EXPECT_EQ(counts[i].elementwise, counted[name].second) << to_text(lower(graph, Phase::inference, 1, {}));
      EXPECT_EQ(counted[name], stated[name]) << graph.name;
    }
  }
}

TEST(Lower, TextFormReadsBackToTheSameWorkloadInBothPhases) {
  for (std::size_t kind = 1; kind < oracle::kOperatorKinds; ++kind) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      for (const Phase phase : {Phase::inference, Phase::training}) {
        const ir::Workload workload = lower(oracle::random_operator(kind, seed, true), phase, 2, {});
        EXPECT_EQ(ir::parse_workload(ir::to_text(workload)), workload) << ir::to_text(workload);
      }
    }
  }
}

TEST(Lower, EveryPassOfSoftmaxIsAnEinsum) {
  Builder b{"attention", {4, 12}};
  b.then("blocks.0.attn", MultiHeadAttention{2});
  const ir::Workload workload = lower(std::move(b).finish(), Phase::inference, 1, {});
  std::vector<std::string> names;
  for (const ir::Einsum& einsum : workload.einsums) {
    EXPECT_EQ(einsum.source, "blocks.0.attn");
    names.push_back(einsum.name.substr(std::string("blocks.0.attn.").size()));
  }
  EXPECT_THAT(names, testing::ElementsAre("scores", "maximum", "exp", "sum", "divide", "context"));
}

TEST(Lower, TensorsHaveTheTypesOfTheirKinds) {
  const DataTypes types{.activation = ir::ElementType::int8,
                        .weight = ir::ElementType::bf16,
                        .accumulator = ir::ElementType::int32,
                        .gradient = ir::ElementType::fp16,
                        .state = ir::ElementType::fp32};
  const std::map<ir::TensorKind, ir::ElementType> expected = {{ir::TensorKind::activation, types.activation},
                                                              {ir::TensorKind::weight, types.weight},
                                                              {ir::TensorKind::accumulator, types.accumulator},
                                                              {ir::TensorKind::gradient, types.gradient},
                                                              {ir::TensorKind::state, types.state}};
  std::map<std::string, ir::TensorKind> kinds;
  for (const ir::Tensor& tensor : lower(oracle::small_residual_network(), Phase::training, 4, types).tensors) {
    EXPECT_EQ(tensor.type, expected.at(tensor.kind)) << tensor.name;
    kinds[tensor.name] = tensor.kind;
  }
  EXPECT_EQ(kinds.at("stem.conv"), ir::TensorKind::activation);
  EXPECT_EQ(kinds.at("stem.conv.weight"), ir::TensorKind::weight);
  EXPECT_EQ(kinds.at("block.expand.product"), ir::TensorKind::accumulator);
  EXPECT_EQ(kinds.at("stem.conv.weight.gradient"), ir::TensorKind::gradient);
  EXPECT_EQ(kinds.at("stem.norm.running_mean"), ir::TensorKind::state);
  EXPECT_EQ(kinds.at("learning_rate"), ir::TensorKind::state);
}

TEST(Lower, TokenIdsAreInt32AndThoseThatTheTableLacksGiveZeros) {
  Builder b{"text", {3, 1}};
  b.then("words", TokenEmbed{.vocabulary = 2, .width = 2});
  const ir::Workload workload = lower(std::move(b).finish(), Phase::inference, 1, {});
  EXPECT_EQ(workload.tensors.at(0).type, ir::ElementType::int32);
  const auto tensors = ir::interpret(
      workload, {{"input", {{1, 3, 1}, {1.0, 2.0, 0.5}}}, {"words.embedding", {{2, 2}, {1.0, 2.0, 3.0, 4.0}}}});
  ASSERT_TRUE(tensors.has_value()) << tensors.error();
  EXPECT_EQ(tensors->at("words").data, (std::vector<double>{3.0, 4.0, 0.0, 0.0, 0.0, 0.0}));
}

TEST(Lower, NodesCalledLikeAStepKeepTheirNames) {
  Builder b{"clash", {4, 12}};
  b.then("a", MultiHeadAttention{2});
  b.then("a.scores", Activation{});
  b.then("a.sum", LayerNorm{});
  const NetworkGraph graph = std::move(b).finish();
  expect_lowering_equals_naive_forward(graph, 2, 5);
  EXPECT_THAT(ir::validate(lower(graph, Phase::training, 2, {})), testing::IsEmpty());
}

TEST(Lower, AllOutputsOfSeveralTasksAreOutputs) {
  Builder b{"tasks", {6}};
  const int trunk = b.then("trunk", Activation{});
  b.then("first", Linear{.out_factors = {2}, .in_factors = {}});
  b.add("second", Linear{.out_factors = {3}, .in_factors = {}}, {trunk});
  NetworkGraph graph = std::move(b).finish();
  graph.outputs = {2, 3};
  const ir::Workload workload = lower(graph, Phase::inference, 1, {});
  std::vector<std::string> outputs;
  for (const int output : workload.outputs) {
    outputs.push_back(workload.tensors[static_cast<std::size_t>(output)].name);
  }
  EXPECT_THAT(outputs, testing::ElementsAre("first", "second"));
}

}  // namespace
}  // namespace cosearch::graph
