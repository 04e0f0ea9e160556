#include "spaces/graph/moe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"
#include "spaces/ir/interpreter.hpp"
#include "tests/oracle/naive_moe.hpp"
#include "tests/oracle/naive_network.hpp"

namespace cosearch::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

/// A trunk with a mixture, and a head for each of two tasks; the second has a layer more.
NetworkGraph two_tasks(MoeRouting routing) {
  Builder b("two_tasks", {5, 4});
  const int trunk =
      b.then("moe", MoeFfn{.experts = 3, .top_k = 2, .hidden = 2, .tasks = 2, .routing = routing, .embedding = 3});
  const int first = b.then("class", Linear{.out_factors = {2}});
  b.add("edge.mlp", Linear{.out_factors = {3}}, {trunk});
  const int second = b.then("edge", Linear{.out_factors = {1}});
  NetworkGraph graph = std::move(b).finish();
  graph.outputs = {first, second};
  return graph;
}

std::set<std::string> weight_names(const NetworkGraph& graph) {
  std::set<std::string> names;
  for (const WeightSpec& spec : weights(graph)) {
    names.insert(spec.name);
  }
  return names;
}

TEST(TaskNetwork, HasOneOutputItsOwnRouterAndNoNodeOfOtherTasks) {
  const NetworkGraph graph = two_tasks(MoeRouting::per_task);
  const NetworkGraph first = task_network(graph, 0);
  const NetworkGraph second = task_network(graph, 1);
  ASSERT_TRUE(infer_shapes(first).has_value());
  ASSERT_TRUE(infer_shapes(second).has_value());
  EXPECT_EQ(first.nodes.back().name, "class");
  EXPECT_EQ(first.nodes.size(), 3U);
  EXPECT_EQ(second.nodes.back().name, "edge");
  EXPECT_EQ(second.nodes.size(), 4U);
  EXPECT_EQ(weight_names(first), (std::set<std::string>{"moe.router_0", "moe.w1", "moe.b1", "moe.w2", "moe.b2",
                                                        "class.weight", "class.bias"}));
  EXPECT_TRUE(weight_names(second).contains("moe.router_1"));
  EXPECT_FALSE(weight_names(second).contains("moe.router_0"));
  EXPECT_NE(hash(first), hash(second));
}

TEST(TaskNetwork, OfAConditionedRouterSharesIt) {
  const NetworkGraph graph = two_tasks(MoeRouting::conditioned);
  for (const int task : {0, 1}) {
    const std::set<std::string> names = weight_names(task_network(graph, task));
    EXPECT_TRUE(names.contains("moe.router"));
    EXPECT_TRUE(names.contains("moe.task_w1"));
    EXPECT_EQ(std::get<MoeFfn>(task_network(graph, task).nodes[1].op).task, task);
  }
  EXPECT_TRUE(routes_by_task(graph));
}

TEST(TaskNetwork, WeightsOfAllTasksAreNamedOnce) {
  const NetworkGraph graph = two_tasks(MoeRouting::per_task);
  std::vector<std::string> names;
  for (const WeightSpec& spec : task_weights(graph)) {
    names.push_back(spec.name);
  }
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  std::set<std::string> expected = weight_names(task_network(graph, 0));
  expected.merge(weight_names(task_network(graph, 1)));
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
}

TEST(TaskNetwork, NoOutputIsWithoutARouter) {
  NetworkGraph graph = two_tasks(MoeRouting::per_task);
  Node third = graph.nodes.at(2);
  third.name = "third";
  graph.nodes.push_back(third);
  graph.outputs = {2, 4, static_cast<int>(graph.nodes.size()) - 1};
  const auto refused = infer_shapes(graph);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error(), HasSubstr("it routes the tokens of 2 tasks, and the network has 3"));
  std::get<MoeFfn>(graph.nodes.at(1).op).tasks = 3;
  EXPECT_TRUE(infer_shapes(graph).has_value());
}

TEST(TaskNetwork, IsThereForEachOutputAndANetworkOfOneTaskIsItsOwn) {
  const NetworkGraph graph = two_tasks(MoeRouting::per_task);
  const NetworkGraph second = task_network(graph, 1);
  EXPECT_THAT(task_networks(graph), ElementsAre(task_network(graph, 0), second));
  EXPECT_THAT(task_networks(second), ElementsAre(second)) << "it keeps its router";
}

TEST(ExpertTokens, AreEvenWithoutAHistogram) {
  EXPECT_THAT(expert_tokens({.experts = 4, .top_k = 2}, 5, nullptr), ElementsAre(3, 3, 2, 2));
  EXPECT_THAT(expert_tokens({.experts = 4, .top_k = 4}, 5, nullptr), ElementsAre(5, 5, 5, 5));
}

TEST(ExpertTokens, FollowTheHistogramInWholeNumbersOfTheRightSum) {
  const std::vector<double> histogram = {4.5, 0.0, 1.5, 4.0};
  EXPECT_THAT(expert_tokens({.experts = 4, .top_k = 2}, 10, &histogram), ElementsAre(9, 0, 3, 8));
  RngStream rng(1, Purpose::test, 3);
  for (int draw = 0; draw < 200; ++draw) {
    const MoeFfn op{.experts = 1 + static_cast<std::int64_t>(rng.below(9)), .top_k = 1};
    const auto tokens = 1 + static_cast<std::int64_t>(rng.below(50));
    std::vector<double> counts(static_cast<std::size_t>(op.experts));
    std::generate(counts.begin(), counts.end(), [&] { return rng.uniform(); });
    const std::vector<std::int64_t> whole = expert_tokens(op, tokens, &counts);
    const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
    EXPECT_EQ(std::accumulate(whole.begin(), whole.end(), std::int64_t{0}), tokens);
    for (std::size_t e = 0; e < counts.size(); ++e) {
      EXPECT_NEAR(static_cast<double>(whole[e]), counts[e] / sum * static_cast<double>(tokens), 1.0);
    }
  }
}

TEST(ExpertTokens, HistogramsThatCannotBeAreNamed) {
  const NetworkGraph graph = task_network(two_tasks(MoeRouting::per_task), 1);
  EXPECT_EQ(wrong_histogram(graph, {{"moe.tokens", {4, 3, 3}}, {"other.tokens", {}}}), std::nullopt);
  EXPECT_THAT(wrong_histogram(graph, {{"moe.tokens", {4, 3}}}), Optional(HasSubstr("2 counts for 3 experts")));
  EXPECT_THAT(wrong_histogram(graph, {{"moe.tokens", {4, -3, 1}}}), Optional(HasSubstr("-3 is no number of tokens")));
  EXPECT_THAT(wrong_histogram(graph, {{"moe.tokens", {0, 0, 0}}}), Optional(HasSubstr("no expert has tokens")));
  EXPECT_THAT(wrong_histogram(graph, {{"moe.tokens", {6, 3, 1}}}), Optional(HasSubstr("an expert has 6 of the 10")));
  // That of the task that runs is preferred.
  EXPECT_EQ(wrong_histogram(graph, {{"moe.tokens", {6, 3, 1}}, {"moe.tokens_1", {5, 4, 1}}}), std::nullopt);
}

TEST(MoeFfn, JsonKeepsAllFieldsAndMayLeaveTheDefaultsOut) {
  Builder b("net", {5, 4});
  b.then("moe", MoeFfn{.experts = 6,
                       .top_k = 3,
                       .hidden = 5,
                       .tasks = 4,
                       .task = 2,
                       .routing = MoeRouting::conditioned,
                       .embedding = 7,
                       .balance = 0.0,
                       .noise = 0.5});
  const NetworkGraph graph = std::move(b).finish();
  EXPECT_EQ(graph_from_json(to_json(graph)), graph);
  nlohmann::json json = to_json(graph);
  json["nodes"][0] = {{"name", "moe"}, {"op", "moe_ffn"}, {"inputs", {"input"}},
                      {"experts", 4},  {"top_k", 1},      {"hidden", 64}};
  EXPECT_EQ(std::get<MoeFfn>(graph_from_json(json).nodes[1].op), MoeFfn{});
  json["nodes"][0]["noise"] = 2;
  EXPECT_THROW(static_cast<void>(graph_from_json(json)), ConfigError);
}

TEST(MoeFfn, WeightsOfASubnetAreTheLeadingExpertsAndHiddenFeatures) {
  Builder b("net", {5, 4});
  b.then("moe", MoeFfn{.experts = 6, .top_k = 3, .hidden = 5});
  for (const WeightSpec& spec : weights(std::move(b).finish())) {
    for (const WeightAxis& axis : spec.axes) {
      for (const AxisSegment& segment : axis) {
        for (const AxisFactor& factor : segment) {
          EXPECT_EQ(factor.rule, SliceRule::leading) << spec.name;
        }
      }
    }
    EXPECT_EQ(spec.decay, spec.axes.size() == 3 || spec.name == "moe.router") << spec.name;
  }
}

TEST(MoeFfn, NamesOfItsWeightsAreReserved) {
  for (const char* name : {"moe.router", "moe.router_3", "moe.w1", "moe.task_b2"}) {
    Builder b("net", {5, 4});
    b.then("moe", MoeFfn{});
    b.then(name, LayerNorm{});
    const auto shapes = infer_shapes(std::move(b).finish());
    ASSERT_FALSE(shapes.has_value()) << name;
    EXPECT_THAT(shapes.error(), HasSubstr("this name is reserved"));
  }
}

// Queues may be longer than what the tokens choose: the places left over name no token and add nothing.
TEST(MoeFfn, LongerQueuesGiveTheSameOutput) {
  Builder b("net", {3, 4});
  b.then("moe", MoeFfn{.experts = 2, .top_k = 1, .hidden = 2});
  const NetworkGraph graph = std::move(b).finish();
  const oracle::Weights values = oracle::random_weights(graph, 2);
  const std::vector<double> input = oracle::random_input(graph, 1, 2);
  ir::Workload workload = lower(graph, Phase::inference, 1, {}, {{"moe.tokens", {2, 1}}});
  for (ir::Tensor& tensor : workload.tensors) {
    if (tensor.name.starts_with("moe.expert_")) {
      tensor.shape[0] = 3;
    }
  }
  for (ir::Einsum& einsum : workload.einsums) {
    for (ir::Loop& loop : einsum.loops) {
      loop.extent = loop.name == "i" ? 3 : loop.extent;
    }
  }
  std::map<std::string, ir::Values> given = {{"input", {{1, 3, 4}, input}}};
  for (const WeightSpec& spec : weights(graph)) {
    given[spec.name] = {spec.shape(), values.at(spec.name)};
  }
  const auto tensors = ir::interpret(workload, given);
  ASSERT_TRUE(tensors.has_value()) << tensors.error();
  const std::vector<double> expected = oracle::forward(graph, values, input, 1, false).nodes.at("moe").values;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(tensors->at("moe").data[i], expected[i], 1e-12);
  }
}

TEST(MoeFfn, ALoweringTellsWhereEachExpertStandsAndWhichWeightsItReads) {
  Builder b("net", {6, 4});
  b.then("first", Linear{.out_factors = {4}});
  b.then("moe", MoeFfn{.experts = 5, .top_k = 2, .hidden = 3});
  const NetworkGraph graph = std::move(b).finish();
  for (const Phase phase : {Phase::inference, Phase::training}) {
    const LoweredNetwork lowered = lower_with_queues(graph, phase, 1, {}, {{"moe.tokens", {4, 0, 3, 0, 5}}});
    EXPECT_EQ(lowered.workload, lower(graph, phase, 1, {}, {{"moe.tokens", {4, 0, 3, 0, 5}}}));
    ASSERT_EQ(lowered.queues.size(), phase == Phase::training ? 2U : 1U);
    std::size_t end = 0;
    for (const QueuedEinsums& queued : lowered.queues) {
      EXPECT_EQ(queued.node, "moe");
      ASSERT_EQ(queued.ranges.size(), 3U) << "experts without tokens have no einsums";
      EXPECT_GE(queued.ranges[0].first, end);
      for (std::size_t i = 0; i < 3; ++i) {
        const QueuedExpert& expert = queued.queue.experts[i];
        EXPECT_EQ(expert.expert, std::vector<int>({0, 2, 4})[i]);
        EXPECT_EQ(expert.tokens, std::vector<std::int64_t>({4, 3, 5})[i]);
        EXPECT_GT(queued.ranges[i].end, queued.ranges[i].first);
        EXPECT_TRUE(i == 0 || queued.ranges[i].first == end);
        end = queued.ranges[i].end;
        double bytes = 0.0;
        for (std::size_t e = queued.ranges[i].first; e < end; ++e) {
          const ir::Einsum& einsum = lowered.workload.einsums[e];
          for (const ir::Operand& operand : einsum.operands) {
            const auto* access = std::get_if<ir::Access>(&operand);
            const bool weight =
                access != nullptr &&
                lowered.workload.tensors[static_cast<std::size_t>(access->tensor)].kind == ir::TensorKind::weight;
            if (weight) {  // the first axis is the expert, the others are loops
              EXPECT_EQ(access->axes[0].offset, expert.expert);
              std::int64_t elements = 1;
              for (std::size_t axis = 1; axis < access->axes.size(); ++axis) {
                elements *= einsum.loops[static_cast<std::size_t>(access->axes[axis].terms.at(0).loop)].extent;
              }
              bytes += static_cast<double>(elements * ir::size_bytes(DataTypes{}.weight));
            }
          }
        }
        EXPECT_EQ(expert.weight_bytes, bytes);
      }
    }
  }
}

}  // namespace
}  // namespace cosearch::graph
