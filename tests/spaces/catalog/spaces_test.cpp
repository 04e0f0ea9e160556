#include "spaces/catalog/spaces.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/catalog/networks.hpp"

namespace cosearch {
namespace {

using graph::NetworkGraph;
using nlohmann::json;

TaskShape fashion() { return {{28, 28, 1}, 10}; }

NetworkGraph decode(const SearchSpace& space, const json& genes) {
  return std::get<NetworkGraph>(space.decode(space.params().from_json(genes)));
}

const graph::Node& node(const NetworkGraph& net, const std::string& name) {
  const auto at =
      std::find_if(net.nodes.begin(), net.nodes.end(), [&](const graph::Node& n) { return n.name == name; });
  if (at == net.nodes.end()) {
    throw std::runtime_error("no node " + name);
  }
  return *at;
}

bool has(const NetworkGraph& net, const std::string& name) {
  return std::any_of(net.nodes.begin(), net.nodes.end(), [&](const graph::Node& n) { return n.name == name; });
}

graph::Shape shape_of(const NetworkGraph& net, const std::string& name) {
  const auto shapes = graph::infer_shapes(net).value();
  return shapes[static_cast<std::size_t>(&node(net, name) - net.nodes.data())];
}

TEST(MobileCnn, GenesMeanWhatTheirNamesSay) {
  const auto space = catalog::make_mobile_cnn(json::object(), fashion());
  const NetworkGraph net = decode(*space, {{"resolution", 24},
                                           {"stem.width", 16},
                                           {"stages.0.depth", 2},
                                           {"stages.0.width", 16},
                                           {"stages.0.kernel", 5},
                                           {"stages.0.expansion", 4},
                                           {"stages.1.depth", 1},
                                           {"stages.1.width", 40},
                                           {"stages.1.kernel", 7},
                                           {"stages.1.expansion", 1},
                                           {"last.width", 128}});
  EXPECT_EQ(shape_of(net, "input"), (graph::Shape{24, 24, 1}));
  EXPECT_EQ(shape_of(net, "stem"), (graph::Shape{12, 12, 16}));
  EXPECT_EQ(shape_of(net, "stages.0.blocks.1.expand"), (graph::Shape{12, 12, 64}));
  EXPECT_EQ(std::get<graph::Conv2d>(node(net, "stages.0.blocks.0.depthwise").op).kernel_h, 5);
  EXPECT_TRUE(has(net, "stages.0.blocks.0.add")) << "stem and stage have one width";
  EXPECT_TRUE(has(net, "stages.0.blocks.1.add"));
  EXPECT_FALSE(has(net, "stages.1.blocks.0.expand")) << "expansion 1 needs none";
  EXPECT_EQ(shape_of(net, "stages.1.blocks.0.project"), (graph::Shape{6, 6, 40}));
  EXPECT_FALSE(has(net, "stages.1.blocks.0.add")) << "the stage halves the image";
  EXPECT_FALSE(has(net, "stages.2.blocks.0.depthwise")) << "depth 0 leaves the stage out";
  EXPECT_EQ(shape_of(net, "last"), (graph::Shape{6, 6, 128}));
  const graph::Activation activation = std::get<graph::Activation>(node(net, "stem.act").op);
  EXPECT_EQ(activation.kind, graph::ActivationKind::relu6);
  // Projections are linear: batch norm, then at most the residual sum.
  EXPECT_FALSE(has(net, "stages.0.blocks.0.project.act"));
}

TEST(MobileCnn, MacsMatchAHandCount) {
  const auto space = catalog::make_mobile_cnn(json::object(), fashion());
  // resolution 16, stem 8, no first stage, one 3 x 3 block of 16 channels without expansion, last 64.
  const NetworkGraph net = decode(*space, {{"resolution", 16}, {"stages.0.depth", 0}, {"stages.1.depth", 1}});
  const std::int64_t stem = 4608;   // 8 x 8 x 8 x 9
  const std::int64_t block = 3200;  // 4 x 4 x (8 x 9 + 8 x 16)
  const std::int64_t last = 16384;  // 4 x 4 x 16 x 64
  EXPECT_EQ(graph::total_counts(net).macs, stem + block + last + 640);
}

TEST(MobileCnn, ResolutionsScaleWithTheSampleAndHoldItsOwnSize) {
  for (const auto& [side, expected] : std::vector<std::pair<std::int64_t, std::vector<std::int64_t>>>{
           {28, {16, 20, 24, 28, 32}}, {64, {36, 44, 56, 64, 72}}, {16, {8, 12, 16, 20}}}) {
    const auto space = catalog::make_mobile_cnn(json::object(), {{side, side, 3}, 10});
    std::vector<std::int64_t> values;
    for (const GeneValue& value : std::get<Choices>(space->params().params()[0].domain).values) {
      values.push_back(std::get<std::int64_t>(value));
    }
    EXPECT_EQ(values, expected) << side;
  }
}

TEST(Vit, GenesMeanWhatTheirNamesSay) {
  const auto space = catalog::make_vit(json::object(), fashion());
  const NetworkGraph net = decode(
      *space, {{"patch", 7}, {"embed_dim", 48}, {"depth", 2}, {"heads", 3}, {"mlp_ratio", 1.5}, {"low_rank", 1}});
  EXPECT_EQ(shape_of(net, "patch_embed"), (graph::Shape{16, 48}));
  EXPECT_EQ(shape_of(net, "blocks.1.attn.qkv"), (graph::Shape{16, 144}));
  EXPECT_EQ(shape_of(net, "blocks.1.attn.proj"), (graph::Shape{16, 48}));
  EXPECT_EQ(shape_of(net, "blocks.1.mlp.fc1"), (graph::Shape{16, 72}));
  EXPECT_EQ(std::get<graph::MultiHeadAttention>(node(net, "blocks.0.attn.heads").op).heads, 3);
  EXPECT_FALSE(has(net, "blocks.2.norm1"));
  EXPECT_EQ(shape_of(net, "pool"), (graph::Shape{48}));
}

TEST(Vit, LowRankSplitsEveryLayerOfTheBlocks) {
  const auto space = catalog::make_vit(json::object(), fashion());
  const json genes{{"patch", 4}, {"embed_dim", 64}, {"depth", 1}, {"heads", 2}, {"mlp_ratio", 3}, {"low_rank", 0.25}};
  const NetworkGraph net = decode(*space, genes);
  EXPECT_FALSE(has(net, "blocks.0.attn.qkv"));
  EXPECT_EQ(shape_of(net, "blocks.0.attn.qkv.a").back(), 16) << "a quarter of min(64, 96)";
  EXPECT_EQ(shape_of(net, "blocks.0.attn.qkv.b").back(), 96);
  EXPECT_EQ(shape_of(net, "blocks.0.attn.proj.a").back(), 8) << "a quarter of min(32, 64)";
  EXPECT_EQ(shape_of(net, "blocks.0.mlp.fc1.a").back(), 16);
  EXPECT_EQ(shape_of(net, "blocks.0.mlp.fc2.a").back(), 16);
  EXPECT_TRUE(has(net, "head")) << "the head stays dense";
}

TEST(Vit, PatchesCoverTheWholeImage) {
  const auto space = catalog::make_vit(json::object(), fashion());
  std::vector<std::int64_t> patches;
  for (const GeneValue& value : std::get<Choices>(space->params().params()[0].domain).values) {
    const std::int64_t patch = std::get<std::int64_t>(value);
    patches.push_back(patch);
    const NetworkGraph net = decode(*space, {{"patch", patch}});
    const auto embed = std::get<graph::PatchEmbed>(node(net, "patch_embed").op);
    EXPECT_EQ((28 + 2 * embed.padding) % patch, 0);
    EXPECT_EQ(shape_of(net, "input"), (graph::Shape{28, 28, 1})) << "no resizing where padding will do";
  }
  EXPECT_EQ(patches, (std::vector<std::int64_t>{4, 5, 6, 7, 10}));
}

TaskShape imagenet(std::int64_t side) { return {{side, side, 3}, 1000}; }

TEST(McuVit, GenesMeanWhatTheirNamesSay) {
  const auto space = catalog::make_mcu_vit(json::object(), imagenet(240));
  const json genes{{"patch", 20},         {"embed_dim", 168},    {"depth", 13},
                   {"blocks.0.heads", 4}, {"blocks.1.heads", 3}, {"blocks.0.mlp_ratio", 4.0},
                   {"rank_attn", 0.7},    {"rank_mlp", 0.45},    {"blocks.1.mlp_ratio", 3.5}};
  const NetworkGraph net = decode(*space, genes);
  EXPECT_EQ(shape_of(net, "patch_embed"), (graph::Shape{144, 168}));
  EXPECT_EQ(shape_of(net, "blocks.0.attn.qkv.a"), (graph::Shape{144, 117})) << "int(168 * 0.7)";
  EXPECT_EQ(shape_of(net, "blocks.0.attn.qkv.b"), (graph::Shape{144, 3 * 4 * 64}));
  EXPECT_EQ(shape_of(net, "blocks.1.attn.qkv.b"), (graph::Shape{144, 3 * 3 * 64}));
  EXPECT_EQ(shape_of(net, "blocks.0.attn.proj"), (graph::Shape{144, 168})) << "dense with two factors";
  EXPECT_EQ(shape_of(net, "blocks.0.mlp.fc1.a"), (graph::Shape{144, 75})) << "int(168 * 0.45)";
  EXPECT_EQ(shape_of(net, "blocks.0.mlp.fc1.b"), (graph::Shape{144, 672}));
  EXPECT_EQ(shape_of(net, "blocks.1.mlp.fc1.b"), (graph::Shape{144, 588})) << "not rounded to a multiple of 8";
  EXPECT_EQ(shape_of(net, "blocks.1.mlp.fc2.a"), (graph::Shape{144, 75}));
  EXPECT_TRUE(has(net, "blocks.12.norm1"));
  EXPECT_FALSE(has(net, "blocks.13.norm1"));
  json too_deep = genes;
  too_deep["blocks.13.heads"] = 3;
  EXPECT_THROW((void)space->params().from_json(too_deep), ConfigError) << "the network has 13 blocks";
}

TEST(McuVit, ThreeFactorsHaveASquareOneBetweenAndSplitTheProjectionToo) {
  const auto space = catalog::make_mcu_vit(json::object(), fashion());
  const NetworkGraph net = decode(*space, {{"embed_dim", 48}, {"rank_attn", 0.5}, {"rank_mlp", 0.7}, {"factors", 3}});
  const auto ranks = [&](const std::string& layer) {
    return std::pair(shape_of(net, layer + ".in").back(), shape_of(net, layer + ".core").back());
  };
  EXPECT_EQ(ranks("blocks.0.attn.qkv"), std::pair(std::int64_t{24}, std::int64_t{24}));
  EXPECT_EQ(ranks("blocks.0.attn.proj"), std::pair(std::int64_t{24}, std::int64_t{24}));
  EXPECT_EQ(ranks("blocks.1.mlp.fc1"), std::pair(std::int64_t{33}, std::int64_t{33}));
  EXPECT_EQ(ranks("blocks.1.mlp.fc2"), std::pair(std::int64_t{33}, std::int64_t{33}));
  EXPECT_EQ(shape_of(net, "blocks.0.attn.qkv.out").back(), 3 * 16);
  for (const char* factor : {"in", "core", "out"}) {
    const auto& linear = std::get<graph::Linear>(node(net, std::string("blocks.0.mlp.fc1.") + factor).op);
    EXPECT_EQ(linear.bias, std::string(factor) == "out") << factor;
  }
}

TEST(McuVit, OptionsSayWhatTheAttentionsRankIsOfAndHowWideHeadsAre) {
  const json genes{{"embed_dim", 168}, {"rank_attn", 0.5}, {"rank_mlp", 0.5}};
  const NetworkGraph own = decode(*catalog::make_mcu_vit(json::object(), imagenet(240)), genes);
  const NetworkGraph largest =
      decode(*catalog::make_mcu_vit({{"rank_of", "largest"}, {"head_dim", 32}}, imagenet(240)), genes);
  EXPECT_EQ(shape_of(own, "blocks.0.attn.qkv.a").back(), 84);
  EXPECT_EQ(shape_of(largest, "blocks.0.attn.qkv.a").back(), 120) << "half of 240";
  EXPECT_EQ(shape_of(largest, "blocks.0.mlp.fc1.a").back(), 84) << "the MLP's is always of its own width";
  EXPECT_EQ(shape_of(own, "blocks.0.attn.heads").back(), 3 * 64);
  EXPECT_EQ(shape_of(largest, "blocks.0.attn.heads").back(), 3 * 32);
}

// published: paddings of MCUFormer's code, at 240 pixels of the first, at 224 of the later one.
TEST(McuVit, ImagesArePaddedAsPublished) {
  for (const auto& [side, paddings] : std::vector<std::pair<std::int64_t, std::map<std::int64_t, std::int64_t>>>{
           {240, {{16, 0}, {20, 0}, {24, 0}, {28, 6}, {32, 8}}},
           {224, {{16, 0}, {18, 5}, {20, 8}, {22, 9}, {24, 8}, {26, 5}}}}) {
    const auto space = catalog::make_mcu_vit(json::object(), imagenet(side));
    for (const auto& [patch, padding] : paddings) {
      const NetworkGraph net = decode(*space, {{"patch", patch}});
      EXPECT_EQ(std::get<graph::PatchEmbed>(node(net, "patch_embed").op).padding, padding) << side << " " << patch;
      EXPECT_EQ(shape_of(net, "input"), (graph::Shape{side, side, 3}));
    }
  }
}

/// The conformance suite sees small images; the published sets have corners and genes of their own.
TEST(McuVit, PublishedValuesHaveGenesThatMatterAndCornersAtTheEnds) {
  for (const char* rank_of : {"own", "largest"}) {
    const auto space = catalog::make_mcu_vit({{"rank_of", rank_of}}, imagenet(240));
    std::vector<std::int64_t> ends;
    for (const Genome& corner : space->corners()) {
      ends.push_back(graph::total_counts(std::get<NetworkGraph>(space->decode(corner))).macs);
    }
    std::sort(ends.begin(), ends.end());
    for (std::uint64_t i = 0; i < 40; ++i) {
      RngStream rng(1, Purpose::test, i);
      const Genome genome = space->params().sample(rng);
      const NetworkGraph net = std::get<NetworkGraph>(space->decode(genome));
      EXPECT_GE(graph::total_counts(net).macs, ends.front());
      EXPECT_LE(graph::total_counts(net).macs, ends.back());
      const NetworkGraph other = std::get<NetworkGraph>(space->decode(space->params().mutate(genome, 0.0, rng)));
      EXPECT_NE(graph::hash(other), graph::hash(net)) << space->params().to_json(genome).dump();
    }
  }
}

TEST(McuVit, MixedBitsAreThoseOfAllLinearMapsOfABlock) {
  const auto space = catalog::make_mcu_vit({{"weight_bits", "mixed"}}, fashion());
  for (const int factors : {2, 3}) {
    const NetworkGraph net =
        decode(*space, {{"factors", factors}, {"blocks.0.weight_bits", 8}, {"blocks.1.weight_bits", 4}});
    std::map<std::string, std::set<std::int64_t>> bits;
    for (const graph::Node& n : net.nodes) {
      if (const auto* linear = std::get_if<graph::Linear>(&n.op)) {
        bits[n.name.substr(0, n.name.starts_with("blocks.") ? 8 : n.name.size())].insert(linear->weight_bits);
      }
    }
    EXPECT_EQ(bits,
              (std::map<std::string, std::set<std::int64_t>>{{"blocks.0", {8}}, {"blocks.1", {4}}, {"head", {8}}}));
    EXPECT_EQ(std::get<graph::PatchEmbed>(node(net, "patch_embed").op).weight_bits, 8);
  }
  EXPECT_FALSE(catalog::make_mcu_vit({{"weight_bits", "8"}}, fashion())->params().find("blocks.0.weight_bits"));
}

/// Genes of a hybrid space for a genome of its family.
json in_family(const std::string& family, const SearchSpace& space, const Genome& part) {
  json genes{{"family", family}};
  const json values = space.params().to_json(part);
  for (const auto& [name, value] : values.items()) {
    genes[family + "." + name] = value;
  }
  return genes;
}

void expect_networks_of(const SearchSpace& hybrid, const std::string& family, const SearchSpace& space) {
  for (std::uint64_t i = 0; i < 50; ++i) {
    RngStream rng(1, Purpose::test, i);
    const Genome part = space.params().sample(rng);
    EXPECT_EQ(decode(hybrid, in_family(family, space, part)), std::get<NetworkGraph>(space.decode(part)));
  }
}

TEST(Hybrid, ItsNetworksAreThoseOfTheTwoSpaces) {
  const auto hybrid = catalog::make_hybrid(json::object(), fashion());
  const auto cnn = catalog::make_mobile_cnn(json::object(), fashion());
  const auto vit = catalog::make_vit(json::object(), fashion());
  EXPECT_EQ(hybrid->params().count(), *cnn->params().count() + *vit->params().count());
  EXPECT_EQ(hybrid->params().params()[1].name, "cnn.resolution") << "as stored campaigns have them";
  expect_networks_of(*hybrid, "cnn", *cnn);
  expect_networks_of(*hybrid, "vit", *vit);
}

TEST(Hybrid, FamiliesAndTheirOptionsAreChosen) {
  const json mixed{{"weight_bits", "mixed"}};
  const json wide{{"head_dim", 24}};
  const auto hybrid = catalog::make_hybrid(
      {{"families", {"mcunet", "vit", "mcu_vit"}}, {"options", {{"mcunet", mixed}, {"mcu_vit", wide}}}}, fashion());
  const Choices families{{std::string("mcunet"), std::string("vit"), std::string("mcu_vit")}};
  EXPECT_EQ(std::get<Choices>(hybrid->params().params()[0].domain), families);
  expect_networks_of(*hybrid, "mcunet", *catalog::make_mcunet(mixed, fashion()));
  expect_networks_of(*hybrid, "vit", *catalog::make_vit(json::object(), fashion()));
  expect_networks_of(*hybrid, "mcu_vit", *catalog::make_mcu_vit(wide, fashion()));
}

TEST(Hybrid, FamiliesShareNoWeightButThoseOfTheTransformers) {
  const auto hybrid = catalog::make_hybrid({{"families", {"cnn", "mcunet", "vit", "mcu_vit"}}}, fashion());
  std::map<std::string, std::set<std::string>> families;  // of each weight
  for (const Genome& corner : hybrid->corners()) {
    for (const graph::WeightSpec& weight : graph::weights(std::get<NetworkGraph>(hybrid->decode(corner)))) {
      families[weight.name].insert(hybrid->params().text(corner, "family"));
    }
  }
  for (const auto& [weight, of] : families) {
    EXPECT_TRUE(of.size() == 1 || of == (std::set<std::string>{"mcu_vit", "vit"})) << weight;
  }
}

TEST(DsCnn, TheKeywordSpottingReferenceIsAMember) {
  const auto space = catalog::make_ds_cnn(json::object(), {{49, 10, 1}, 12});
  const NetworkGraph net = decode(*space, {{"stem.kernel_h", 10}, {"stem.kernel_w", 4}, {"width", 64}, {"depth", 4}});
  EXPECT_EQ(graph::hash(net), graph::hash(make_network("ds_cnn")));
}

TEST(ResNet8, TheImageClassificationReferenceIsAMember) {
  const auto space = catalog::make_resnet8(json::object(), {{32, 32, 3}, 10});
  const NetworkGraph net = decode(*space, {{"stem.stride", 1},
                                           {"stages.0.width", 16},
                                           {"stages.0.depth", 1},
                                           {"stages.1.width", 32},
                                           {"stages.1.depth", 1},
                                           {"stages.2.width", 64},
                                           {"stages.2.depth", 1}});
  EXPECT_EQ(graph::hash(net), graph::hash(make_network("resnet8")));
}

TEST(ResNet9, GenesMeanWhatTheirNamesSay) {
  const auto space = catalog::make_resnet9(json::object(), {{16, 16, 1}, 10});
  const NetworkGraph plain = decode(*space, {{"stem.width", 8},
                                             {"blocks.0.width", 32},
                                             {"blocks.0.residuals", 0},
                                             {"blocks.1.width", 64},
                                             {"blocks.1.residuals", 0},
                                             {"blocks.2.width", 32},
                                             {"blocks.2.residuals", 0}});
  const std::int64_t stem = 256 * 9 * 8;
  const std::int64_t blocks = 256 * 9 * 8 * 32 + 64 * 9 * 32 * 64 + 16 * 9 * 64 * 32;
  EXPECT_EQ(graph::total_counts(plain).macs, stem + blocks + 32 * 10);
  EXPECT_EQ(shape_of(plain, "blocks.2.pool"), (graph::Shape{2, 2, 32}));
  const NetworkGraph residual = decode(*space, {{"stem.width", 8},
                                                {"blocks.0.width", 32},
                                                {"blocks.0.residuals", 2},
                                                {"blocks.1.width", 64},
                                                {"blocks.1.residuals", 0},
                                                {"blocks.2.width", 32},
                                                {"blocks.2.residuals", 1}});
  EXPECT_EQ(graph::total_counts(residual).macs - graph::total_counts(plain).macs,
            2 * 2 * 256 * 9 * 32 * 32 + 2 * 16 * 9 * 32 * 32);
  EXPECT_EQ(node(residual, "blocks.0.residuals.1.add").inputs.size(), 2U);
  EXPECT_FALSE(has(residual, "blocks.1.residuals.0.add"));
}

TEST(ResNet9, HasNineLayersWithWeightsAsItsNameSays) {
  catalog::ResNet9 net;
  net.input = {32, 32, 3};
  std::int64_t layers = 0;
  for (const graph::NodeCounts& counts : graph::node_counts(catalog::build("resnet9", net))) {
    layers += counts.macs > 0 ? 1 : 0;
  }
  EXPECT_EQ(layers, 9);
}

TEST(UNet, GivesLogitsForEveryPixel) {
  const auto space = catalog::make_unet(json::object(), {{16, 16, 3}, 2});
  const NetworkGraph net = decode(*space, {{"levels", 2}, {"width", 4}});
  const std::int64_t encoder = 256 * 9 * (3 * 4 + 4 * 4) + 64 * 9 * (4 * 8 + 8 * 8);
  const std::int64_t decoder = 256 * 9 * ((4 + 8) * 4 + 4 * 4);
  EXPECT_EQ(graph::total_counts(net).macs, encoder + decoder + 256 * 4 * 2);
  EXPECT_EQ(shape_of(net, "encoder.1.conv2"), (graph::Shape{8, 8, 8}));
  EXPECT_EQ(shape_of(net, "decoder.0.concat"), (graph::Shape{16, 16, 12}));
  EXPECT_EQ(shape_of(net, "classifier"), (graph::Shape{16, 16, 2}));
  const NetworkGraph stack = decode(*space, {{"levels", 1}, {"width", 4}});
  EXPECT_FALSE(has(stack, "decoder.0.conv1"));
  EXPECT_EQ(shape_of(stack, "classifier"), (graph::Shape{16, 16, 2}));
}

TEST(UNet, HasAsManyLevelsAsTheImageCanBeHalved) {
  for (const auto& [sample, levels] : std::vector<std::pair<graph::Shape, std::int64_t>>{
           {{28, 28, 1}, 3}, {{64, 64, 3}, 5}, {{24, 64, 1}, 4}, {{49, 10, 1}, 1}}) {
    const auto space = catalog::make_unet(json::object(), {sample, 2});
    EXPECT_EQ(std::get<IntegerRange>(space->params().params()[0].domain).upper, levels) << sample[0];
  }
}

/// What the quickstart needs: networks from far below 0.2 MMAC to above 8 MMAC, most of them small.
TEST(Catalogue, FashionMnistSpacesReachFromTinyToLarge) {
  for (auto* make : {&catalog::make_mobile_cnn, &catalog::make_vit, &catalog::make_ds_cnn}) {
    const auto space = make(json::object(), fashion());
    std::vector<std::int64_t> macs;
    for (std::uint64_t i = 0; i < 400; ++i) {
      RngStream rng(1, Purpose::test, i);
      macs.push_back(graph::total_counts(std::get<NetworkGraph>(space->decode(space->params().sample(rng)))).macs);
    }
    std::sort(macs.begin(), macs.end());
    EXPECT_LT(macs.front(), 200'000);
    EXPECT_GT(macs.back(), 8'000'000);
    EXPECT_LT(macs[200], 3'000'000);
  }
}

}  // namespace
}  // namespace cosearch
