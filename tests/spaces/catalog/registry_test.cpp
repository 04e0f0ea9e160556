#include "spaces/catalog/registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "spaces/base/config_error.hpp"
#include "tests/spaces/catalog/example_spaces.hpp"

// Conformance: what every space of the registry promises.

namespace cosearch {
namespace {

using graph::NetworkGraph;
using graph::Shape;

NetworkGraph network(const SearchSpace& space, const Genome& genome) {
  return std::get<NetworkGraph>(space.decode(genome));
}

using testing::SpaceExample;

std::unique_ptr<SearchSpace> example(const SpaceExample& entry, const TaskShape& task) {
  return make_space(entry.space, entry.options, task);
}

/// Corners and random genomes.
std::vector<Genome> genomes_of(const SearchSpace& space, std::uint64_t samples, std::uint64_t seed) {
  std::vector<Genome> genomes = space.corners();
  for (std::uint64_t i = 0; i < samples; ++i) {
    RngStream rng(seed, Purpose::test, i);
    genomes.push_back(space.params().sample(rng));
  }
  return genomes;
}

void expect_sound(std::string_view name, const SearchSpace& space, const Genome& genome, const TaskShape& task) {
  const NetworkGraph net = network(space, genome);
  const auto shapes = graph::infer_shapes(net);
  ASSERT_TRUE(shapes.has_value()) << shapes.error();
  ASSERT_EQ(net.outputs, std::vector<int>{static_cast<int>(net.nodes.size()) - 1});
  EXPECT_EQ(shapes->back(), testing::example_output(name, task));
  EXPECT_EQ(shapes->front().size(), task.sample.size());
  EXPECT_EQ(shapes->front().back(), task.sample.back()) << "images are resized, but channels stay";
  std::set<std::string> names;
  for (const graph::Node& node : net.nodes) {
    EXPECT_TRUE(names.insert(node.name).second) << node.name << " occurs twice";
  }
  std::int64_t trainable = 0;
  std::set<std::string> weight_names;
  for (const graph::WeightSpec& weight : graph::weights(net)) {
    EXPECT_TRUE(weight_names.insert(weight.name).second) << weight.name;
    EXPECT_TRUE(names.contains(weight.name.substr(0, weight.name.rfind('.')))) << weight.name;
    EXPECT_GT(weight.elements(), 0) << weight.name;
    trainable += weight.trainable ? weight.elements() : 0;
  }
  const graph::NodeCounts counts = graph::total_counts(net);
  EXPECT_EQ(counts.parameters, trainable);
  EXPECT_GT(counts.macs, 0);
}

TEST(SpaceRegistry, IsSortedAndComplete) {
  std::vector<std::string> names;
  for (const SpaceEntry& entry : space_registry()) {
    names.emplace_back(entry.name);
    EXPECT_FALSE(entry.summary.empty());
  }
  EXPECT_EQ(names, (std::vector<std::string>{"custom", "ds_cnn", "hybrid", "mcu_vit", "mcunet", "mobile_cnn", "resnet8",
                                             "resnet9", "unet", "vit"}));
}

TEST(SpaceRegistry, EveryGenomeDecodesForEveryShapeOfImage) {
  for (const SpaceExample& entry : testing::example_spaces()) {
    for (std::int64_t side = 16; side <= 64; ++side) {
      const TaskShape task{{side, side, side % 2 == 0 ? 1 : 3}, 2 + side % 9};
      const std::unique_ptr<SearchSpace> space = example(entry, task);
      for (const Genome& genome : genomes_of(*space, 4, static_cast<std::uint64_t>(side))) {
        SCOPED_TRACE(entry.name + " " + std::to_string(side) + " " + space->params().to_json(genome).dump());
        ASSERT_NO_FATAL_FAILURE(expect_sound(entry.space, *space, genome, task));
      }
    }
  }
}

TEST(SpaceRegistry, EveryGenomeDecodesForOblongImages) {
  for (const SpaceExample& entry : testing::example_spaces()) {
    for (const Shape& sample : {Shape{49, 10, 1}, {16, 17, 3}, {24, 64, 1}, {64, 16, 3}, {31, 20, 2}}) {
      const TaskShape task{sample, 12};
      const std::unique_ptr<SearchSpace> space = example(entry, task);
      for (const Genome& genome : genomes_of(*space, 20, 1)) {
        SCOPED_TRACE(entry.name + " " + space->params().to_json(genome).dump());
        ASSERT_NO_FATAL_FAILURE(expect_sound(entry.space, *space, genome, task));
      }
    }
  }
}

TEST(SpaceRegistry, GenomesOfFashionMnistDecodeDeterministicallyAndSurviveTheJsonForm) {
  const TaskShape task{{28, 28, 1}, 10};
  for (const SpaceExample& entry : testing::example_spaces()) {
    const std::unique_ptr<SearchSpace> space = example(entry, task);
    const std::unique_ptr<SearchSpace> again = example(entry, task);
    for (const Genome& genome : genomes_of(*space, 60, 2)) {
      SCOPED_TRACE(entry.name + " " + space->params().to_json(genome).dump());
      ASSERT_TRUE(space->params().legal(genome));
      ASSERT_NO_FATAL_FAILURE(expect_sound(entry.space, *space, genome, task));
      const NetworkGraph net = network(*space, genome);
      EXPECT_EQ(net, network(*again, genome));
      EXPECT_EQ(graph::hash(net), graph::hash(network(*again, genome)));
      EXPECT_EQ(graph::graph_from_json(graph::to_json(net)), net);
      // What inactive genes hold cannot matter: any genome means what its canonical form means.
      const Genome back = space->params().from_json(space->params().to_json(genome));
      EXPECT_EQ(graph::hash(network(*space, back)), graph::hash(net));
    }
  }
}

/// Gene by gene, a different value gives a different network (so that duplicates of genomes are duplicates of
/// networks, and no gene is idle).
TEST(SpaceRegistry, EveryActiveGeneChangesTheNetwork) {
  for (const SpaceExample& entry : testing::example_spaces()) {
    const std::unique_ptr<SearchSpace> space = example(entry, {{28, 28, 1}, 10});
    const ParamSet& params = space->params();
    std::vector<int> compared(params.size(), 0);
    for (const Genome& genome : genomes_of(*space, 30, 3)) {
      const std::uint64_t hash = graph::hash(network(*space, genome));
      for (std::size_t i = 0; i < params.size(); ++i) {
        Genome other = genome;
        other.genes[i] = genome.genes[i] == 0.0 ? 1.0 : genome.genes[i] - 1.0;
        other = params.canonical(other);
        if (params.active(i, genome) && params.legal(other)) {
          ++compared[i];
          EXPECT_NE(graph::hash(network(*space, other)), hash)
              << entry.name << " " << params.params()[i].name << " " << params.to_json(genome).dump();
        }
      }
    }
    for (std::size_t i = 0; i < params.size(); ++i) {
      EXPECT_GT(compared[i], 0) << entry.name << " " << params.params()[i].name;
    }
  }
}

using Extents = std::vector<std::vector<std::vector<std::int64_t>>>;  // axes, segments, factors

Extents extents(const graph::WeightSpec& weight) {
  Extents all;
  for (const graph::WeightAxis& axis : weight.axes) {
    all.emplace_back();
    for (const graph::AxisSegment& segment : axis) {
      all.back().emplace_back();
      for (const graph::AxisFactor& factor : segment) {
        all.back().back().push_back(factor.extent);
      }
    }
  }
  return all;
}

/// Raises the extents of `into`; false when the structures differ.
bool raise(Extents& into, const Extents& other) {
  if (into.size() != other.size()) {
    return false;
  }
  for (std::size_t a = 0; a < into.size(); ++a) {
    if (into[a].size() != other[a].size()) {
      return false;
    }
    for (std::size_t s = 0; s < into[a].size(); ++s) {
      if (into[a][s].size() != other[a][s].size()) {
        return false;
      }
      for (std::size_t f = 0; f < into[a][s].size(); ++f) {
        into[a][s][f] = std::max(into[a][s][f], other[a][s][f]);
      }
    }
  }
  return true;
}

TEST(SpaceRegistry, EverySubnetFitsIntoTheWeightsOfTheCorners) {
  for (const Shape& sample : {Shape{28, 28, 1}, {32, 32, 3}, {49, 10, 1}, {64, 64, 3}}) {
    for (const SpaceExample& entry : testing::example_spaces()) {
      const std::unique_ptr<SearchSpace> space = example(entry, {sample, 10});
      std::map<std::string, Extents> shared;
      for (const Genome& corner : space->corners()) {
        for (const graph::WeightSpec& weight : graph::weights(network(*space, corner))) {
          const auto [at, is_new] = shared.emplace(weight.name, extents(weight));
          ASSERT_TRUE(is_new || raise(at->second, extents(weight))) << entry.name << " " << weight.name;
        }
      }
      for (const Genome& genome : genomes_of(*space, 100, 4)) {
        for (const graph::WeightSpec& weight : graph::weights(network(*space, genome))) {
          SCOPED_TRACE(entry.name + " " + weight.name + " " + space->params().to_json(genome).dump());
          const auto at = shared.find(weight.name);
          ASSERT_NE(at, shared.end());
          Extents united = at->second;
          ASSERT_TRUE(raise(united, extents(weight)));
          EXPECT_EQ(united, at->second) << "the subnet is larger than the corners";
        }
      }
    }
  }
}

TEST(SpaceRegistry, CornersAreTheCheapestAndDearestNetworks) {
  for (const SpaceExample& entry : testing::example_spaces()) {
    const std::unique_ptr<SearchSpace> space = example(entry, {{28, 28, 1}, 10});
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (const Genome& corner : space->corners()) {
      const std::int64_t macs = graph::total_counts(network(*space, corner)).macs;
      least = std::min(least, macs);
      most = std::max(most, macs);
    }
    for (const Genome& genome : genomes_of(*space, 300, 5)) {
      const std::int64_t macs = graph::total_counts(network(*space, genome)).macs;
      EXPECT_GE(macs, least) << entry.name;
      EXPECT_LE(macs, most) << entry.name;
    }
  }
}

struct BadSpace {
  std::string name;
  std::string options;
  TaskShape task;
  std::string place;
  std::string message;
};

TEST(SpaceRegistry, RefusesUnknownNamesAndOptionsAndUnsuitableTasks) {
  const TaskShape fashion{{28, 28, 1}, 10};
  const std::vector<BadSpace> cases{
      {"mobile_cn", "{}", fashion, "/space/name", "did you mean \"mobile_cnn\""},
      {"mobile_cnn", R"({"stages": 4})", fashion, "/space/stages", "\"stages\" is not known"},
      {"vit", "[]", fashion, "/space", "expected an object"},
      {"mcunet", R"({"weight_bits": 4})", fashion, "/space/weight_bits", "expected one of 8, mixed"},
      {"mcunet", R"({"bits": "8"})", fashion, "/space/bits", "is not known"},
      {"hybrid", R"({"families": "cnn"})", fashion, "/space/families", "an array of different families"},
      {"hybrid", R"({"families": []})", fashion, "/space/families", "an array of different families"},
      {"hybrid", R"({"families": ["cnn", "mcu-vit"]})", fashion, "/space/families/1", "did you mean \"mcu_vit\""},
      {"hybrid", R"({"families": ["cnn", "vit", "cnn"]})", fashion, "/space/families/2", "stands there twice"},
      {"hybrid", R"({"options": {"mcunet": {}}})", fashion, "/space/options/mcunet", "known: cnn, vit"},
      {"hybrid", R"({"families": ["mcunet"], "options": {"mcunet": {"weight_bits": "4"}}})", fashion,
       "/space/options/mcunet/weight_bits", "8, mixed"},
      {"hybrid", R"({"options": {"vit": 3}})", fashion, "/space/options/vit", "expected an object"},
      {"hybrid", R"({"families": ["mcu_vit"]})", {{640}, 10}, "/space/name", "needs images"},
      {"resnet8", "{}", {{640}, 10}, "/space/name", "needs images"},
      {"ds_cnn", "{}", {{4, 4, 1}, 10}, "/space/name", "at least 8 x 8"},
      {"vit", "{}", {{28, 28, 1}, 1}, "/space/name", "two or more classes"},
      {"custom", "{}", fashion, "/space", "\"params\" is missing"},
      {"mcu_vit", R"({"rank_of": "super"})", fashion, "/space/rank_of", "largest, own"},
      {"mcu_vit", R"({"head_dim": 0})", fashion, "/space/head_dim", "from 1 to 256"},
      {"mcu_vit", R"({"weight_bits": "4"})", fashion, "/space/weight_bits", "8, mixed"},
      {"mcu_vit", R"({"heads": 3})", fashion, "/space/heads", "is not known"},
  };
  for (const BadSpace& bad : cases) {
    try {
      static_cast<void>(make_space(bad.name, nlohmann::json::parse(bad.options), bad.task));
      ADD_FAILURE() << bad.name << " " << bad.options << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place(), bad.place) << error.what();
      EXPECT_NE(error.message().find(bad.message), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace cosearch
