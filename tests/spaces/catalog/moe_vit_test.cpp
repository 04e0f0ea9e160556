#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "spaces/catalog/registry.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

TaskShape three_tasks(const graph::Shape& sample = {32, 32, 1}) {
  return {.sample = sample,
          .classes = 10,
          .dense = false,
          .tasks = {{"kind", 4, false}, {"edges", 2, true}, {"depth", 1, true}}};
}

graph::NetworkGraph network(const SearchSpace& space, const json& genes) {
  return std::get<graph::NetworkGraph>(space.decode(space.params().from_json(genes)));
}

std::vector<Genome> samples(const SearchSpace& space, int count) {
  std::vector<Genome> genomes = space.corners();
  RngStream rng(11, Purpose::test, 0);
  for (int i = 0; i < count; ++i) {
    genomes.push_back(space.params().sample(rng));
  }
  return genomes;
}

TEST(MoeVit, EachTaskHasAnOutputOfItsShape) {
  const auto space = make_space("moe_vit", json::object(), three_tasks());
  for (const Genome& genome : samples(*space, 60)) {
    const auto graph = std::get<graph::NetworkGraph>(space->decode(genome));
    const auto shapes = graph::infer_shapes(graph);
    ASSERT_TRUE(shapes.has_value()) << shapes.error();
    ASSERT_EQ(graph.outputs.size(), 3U);
    const auto output = [&](std::size_t task) {
      return output_patch((*shapes)[static_cast<std::size_t>(graph.outputs[task])], {32, 32, 1},
                          three_tasks().tasks[task]);
    };
    const std::int64_t patch = space->params().integer(genome, "patch");
    EXPECT_EQ(output(0), 1);
    EXPECT_EQ(output(1), patch);
    EXPECT_EQ(output(2), patch);
  }
}

TEST(MoeVit, NoTokenAsksForMoreExpertsThanThereAre) {
  const auto space = make_space("moe_vit", json::object(), three_tasks());
  int mixtures = 0;
  for (const Genome& genome : samples(*space, 100)) {
    const auto graph = std::get<graph::NetworkGraph>(space->decode(genome));
    for (const graph::Node& node : graph.nodes) {
      if (const auto* op = std::get_if<graph::MoeFfn>(&node.op)) {
        ++mixtures;
        EXPECT_LE(op->top_k, op->experts);
        EXPECT_EQ(op->tasks, 3);
      }
    }
  }
  EXPECT_GT(mixtures, 100);
}

/// Multiply-accumulates of the feed-forward part of all blocks.
std::int64_t feed_forward_macs(const graph::NetworkGraph& graph) {
  std::int64_t macs = 0;
  const std::vector<graph::NodeCounts> counts = graph::node_counts(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const std::string& name = graph.nodes[i].name;
    if (name.find(".mlp.") != std::string::npos || name.find(".moe") != std::string::npos) {
      macs += counts[i].macs;
    }
  }
  return macs;
}

TEST(MoeVit, ExpertsOfAPartOfTheWidthAreAsMuchWorkForATokenButForTheRouter) {
  const auto space = make_space("moe_vit", json::object(), three_tasks());
  json genes = {{"patch", 4}, {"embed_dim", 32}, {"depth", 4}, {"moe", "none"}, {"mlp_ratio", 2}};
  const std::int64_t dense = feed_forward_macs(graph::task_network(network(*space, genes), 0));
  genes.update({{"moe", "every_second"}, {"experts", 8}, {"top_k", 4}, {"expert_ratio", 0.5}, {"routing", "per_task"}});
  const std::int64_t mixture = feed_forward_macs(graph::task_network(network(*space, genes), 0));
  constexpr std::int64_t kTokens = 64;
  EXPECT_EQ(mixture - dense, 2 * kTokens * 32 * 8);
}

TEST(MoeVit, EveryNetworkIsASliceOfTheCorners) {
  for (const TaskShape& task : {three_tasks(), TaskShape{{28, 28, 1}, 10}}) {
    const auto space = make_space("moe_vit", json::object(), task);
    std::map<std::string, std::vector<std::int64_t>> largest;
    for (const Genome& corner : space->corners()) {
      for (const auto& weight : graph::weights(std::get<graph::NetworkGraph>(space->decode(corner)))) {
        std::vector<std::int64_t>& shape = largest.try_emplace(weight.name, weight.shape()).first->second;
        ASSERT_EQ(shape.size(), weight.shape().size()) << weight.name;
        for (std::size_t i = 0; i < shape.size(); ++i) {
          shape[i] = std::max(shape[i], weight.shape()[i]);
        }
      }
    }
    for (const Genome& genome : samples(*space, 200)) {
      for (const auto& weight : graph::weights(std::get<graph::NetworkGraph>(space->decode(genome)))) {
        ASSERT_TRUE(largest.contains(weight.name)) << weight.name;
        for (std::size_t i = 0; i < weight.shape().size(); ++i) {
          ASSERT_LE(weight.shape()[i], largest[weight.name][i]) << weight.name;
        }
      }
    }
  }
}

TEST(MoeVit, OptionsAreThoseOfTheRouters) {
  const auto space = make_space("moe_vit", {{"balance", 0.5}, {"noise", 0.5}}, three_tasks());
  const graph::NetworkGraph graph = network(*space, {{"moe", "all"}, {"routing", "conditioned"}});
  int mixtures = 0;
  for (const graph::Node& node : graph.nodes) {
    if (const auto* op = std::get_if<graph::MoeFfn>(&node.op)) {
      ++mixtures;
      EXPECT_EQ(op->balance, 0.5);
      EXPECT_EQ(op->noise, 0.5);
      EXPECT_EQ(op->routing, graph::MoeRouting::conditioned);
    }
  }
  EXPECT_EQ(mixtures, 3);
  EXPECT_THROW(make_space("moe_vit", {{"balance", -1}}, three_tasks()), ConfigError);
  EXPECT_THROW(make_space("moe_vit", {{"experts", 4}}, three_tasks()), ConfigError);
  // 31 is prime: no patch cuts such an image without a rest, which pixels need and classes do not.
  EXPECT_THROW(make_space("moe_vit", json::object(), three_tasks({31, 31, 1})), ConfigError);
  EXPECT_NO_THROW(make_space("moe_vit", json::object(), TaskShape{{31, 31, 1}, 10}));
}

}  // namespace
}  // namespace cosearch
