#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "spaces/catalog/mcunet_import.hpp"
#include "spaces/catalog/spaces.hpp"
#include "tests/spaces/catalog/mcunet_configurations.hpp"

namespace cosearch {
namespace {

using graph::NetworkGraph;
using nlohmann::json;

TaskShape imagenet() { return {{224, 224, 3}, 1000}; }
TaskShape fashion() { return {{28, 28, 1}, 10}; }

NetworkGraph decode(const SearchSpace& space, const json& genes) {
  return std::get<NetworkGraph>(space.decode(space.params().from_json(genes)));
}

/// The genes of a published description: a group begins where a block has no shortcut.
json genes_of(const json& configuration) {
  json genes{{"resolution", configuration.at("resolution")}};
  int group = -1;
  int block = 0;
  const json& blocks = configuration.at("blocks");
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    const json& layer = blocks[i].at("mobile_inverted_conv");
    block = blocks[i].at("shortcut").is_null() ? 0 : block + 1;
    group += block == 0 ? 1 : 0;
    const std::string name = "groups." + std::to_string(group);
    genes[name + ".blocks." + std::to_string(block) + ".kernel"] = layer.at("kernel_size");
    genes[name + ".blocks." + std::to_string(block) + ".expansion"] = layer.at("expand_ratio");
    if (group < 5) {
      genes[name + ".depth"] = block + 1;
    }
    genes["width"] = layer.at("out_channels").get<double>() / 320.0;  // that of the last group
  }
  return genes;
}

// published: MCUNet's descriptions, read by the importer, which knows nothing of the space. Names of nodes differ.
TEST(Mcunet, ThePublishedNetworksAreMembers) {
  const auto space = catalog::make_mcunet(json::object(), imagenet());
  for (const char* name : {"mcunet-10fps_imagenet", "mcunet-5fps_imagenet", "mcunet-256kb-1mb_imagenet",
                           "mcunet-320kb-1mb_imagenet", "mcunet-512kb-2mb_imagenet", "mcunet-256kb-1mb-int4_imagenet",
                           "mcunet-320kb-1mb-int4_imagenet", "mcunet-512kb-2mb-int4_imagenet"}) {
    const json configuration = testing::mcunet_configuration(name);
    const NetworkGraph published = mcunet_from_json(configuration, name);
    const NetworkGraph member = decode(*space, genes_of(configuration));
    ASSERT_EQ(member.nodes.size(), published.nodes.size()) << name;
    for (std::size_t i = 0; i < member.nodes.size(); ++i) {
      EXPECT_EQ(member.nodes[i].op, published.nodes[i].op) << name << " " << member.nodes[i].name;
      EXPECT_EQ(member.nodes[i].inputs, published.nodes[i].inputs) << name << " " << member.nodes[i].name;
    }
  }
}

TEST(Mcunet, ResolutionsAreThePublishedOnesOrMultiplesOfSmallImages) {
  for (const auto& [side, expected] : std::vector<std::pair<std::int64_t, std::vector<std::int64_t>>>{
           {28, {28, 56, 84, 112}},
           {64, {64, 128, 192}},
           {95, {95, 190}},
           {100, {48, 64, 80, 96, 100, 112, 128, 144, 160, 176, 192, 208, 224}}}) {
    const auto space = catalog::make_mcunet(json::object(), {{side, side / 2, 3}, 10});
    std::vector<std::int64_t> values;
    for (const GeneValue& value : std::get<Choices>(space->params().params()[0].domain).values) {
      values.push_back(std::get<std::int64_t>(value));
    }
    EXPECT_EQ(values, expected) << side;
    const NetworkGraph net = decode(*space, {{"resolution", expected.back()}});
    EXPECT_EQ(std::get<graph::Input>(net.nodes[0].op).shape[0], expected.back()) << "the larger side";
  }
}

TEST(Mcunet, MixedBitsAreThoseOfABlockAndLeaveTheFirstAndTheLastLayerAlone) {
  const auto space = catalog::make_mcunet({{"weight_bits", "mixed"}}, fashion());
  json genes{{"first_block.weight_bits", 4}};
  for (int group = 0; group < 6; ++group) {
    for (int block = 0; block < (group < 5 ? 2 : 1); ++block) {
      genes["groups." + std::to_string(group) + ".blocks." + std::to_string(block) + ".weight_bits"] =
          group == 3 ? 4 : 8;
    }
  }
  const NetworkGraph net = decode(*space, genes);
  int convolutions = 0;
  for (const graph::Node& node : net.nodes) {
    if (const auto* conv = std::get_if<graph::Conv2d>(&node.op)) {
      const bool four = node.name.starts_with("first_block.") || node.name.starts_with("groups.3.");
      EXPECT_EQ(conv->weight_bits, four ? 4 : 8) << node.name;
      ++convolutions;
    } else if (const auto* linear = std::get_if<graph::Linear>(&node.op)) {
      EXPECT_EQ(linear->weight_bits, 8) << node.name;
    }
  }
  EXPECT_EQ(convolutions, 1 + 2 + 11 * 3);
  EXPECT_FALSE(catalog::make_mcunet(json::object(), fashion())->params().find("first_block.weight_bits"));
}

}  // namespace
}  // namespace cosearch
