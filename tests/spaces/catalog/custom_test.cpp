#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "spaces/catalog/registry.hpp"
#include "tests/spaces/catalog/example_spaces.hpp"

namespace cosearch {
namespace {

using graph::NetworkGraph;
using nlohmann::json;

TaskShape fashion() { return {{28, 28, 1}, 10}; }

std::unique_ptr<SearchSpace> make(const json& options, const TaskShape& task = fashion()) {
  return make_space("custom", options, task);
}

NetworkGraph decode(const SearchSpace& space, const json& genes) {
  return std::get<NetworkGraph>(space.decode(space.params().from_json(genes)));
}

std::vector<std::string> names(const NetworkGraph& net) {
  std::vector<std::string> all;
  for (const graph::Node& node : net.nodes) {
    all.push_back(node.name);
  }
  return all;
}

TEST(CustomSpace, ParametersAreReadWithTypesAndConditions) {
  const auto space = make(testing::custom_cnn());
  const std::vector<Param>& params = space->params().params();
  ASSERT_EQ(params.size(), 4U);
  EXPECT_EQ(params[0].domain, Domain(Choices{{std::int64_t{8}, std::int64_t{16}, std::int64_t{32}}}));
  EXPECT_EQ(params[1].domain, Domain(IntegerRange{0, 3, 1}));
  EXPECT_EQ(params[2].active_when, (Condition{"depth", {1, 2, 3}}));
  EXPECT_EQ(params[3].domain, Domain(Choices{{std::string("relu"), std::string("hard_swish")}}));
  EXPECT_EQ(space->params().count(), 3 * (1 + 3 * 2) * 2);
}

TEST(CustomSpace, ADenseTaskNeedsAClassForEachPosition) {
  json options = testing::custom_cnn();
  const TaskShape pixels{{28, 28, 1}, 10, true};
  try {
    (void)make(options, pixels);
    FAIL() << "made";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("gives [10]; the task needs [28,28,10]"), std::string::npos)
        << error.what();
  }
  json& nodes = options["template"];
  nodes.erase(nodes.end() - 2, nodes.end());  // pool and classifier
  nodes[0]["stride"] = 1;
  nodes.push_back({{"name", "head"}, {"op", "conv2d"}, {"out_channels", "$classes"}, {"kernel_h", 1}, {"kernel_w", 1}});
  const NetworkGraph net = decode(*make(options, pixels), {{"depth", 1}});
  EXPECT_EQ(graph::infer_shapes(net).value().back(), pixels.output());
}

TEST(CustomSpace, ANetworkIsWhatTheTemplateSays) {
  const auto space = make(testing::custom_cnn());
  const NetworkGraph net = decode(*space, {{"width", 16}, {"depth", 2}, {"kernel", 5}, {"activation", "hard_swish"}});
  EXPECT_EQ(names(net), (std::vector<std::string>{"input", "stem", "stem.bn", "stem.act", "blocks.0.depthwise",
                                                  "blocks.0.pointwise", "blocks.0.bn", "blocks.0.add", "blocks.0.act",
                                                  "blocks.1.depthwise", "blocks.1.pointwise", "blocks.1.bn",
                                                  "blocks.1.add", "blocks.1.act", "pool", "classifier"}));
  EXPECT_EQ(net.nodes[7].inputs, (std::vector<int>{6, 3})) << "the sum takes what came before the group";
  EXPECT_EQ(net.nodes[12].inputs, (std::vector<int>{11, 8}));
  const auto& depthwise = std::get<graph::Conv2d>(net.nodes[4].op);
  EXPECT_EQ(depthwise.kernel_h, 5);
  EXPECT_EQ(depthwise.groups, 16);
  EXPECT_EQ(depthwise.padding, (graph::Padding{2, 2, 2, 2}));
  EXPECT_EQ(std::get<graph::Conv2d>(net.nodes[1].op).padding, graph::same_padding(28, 28, 3, 3, 2));
  EXPECT_EQ(std::get<graph::Activation>(net.nodes[3].op).kind, graph::ActivationKind::hard_swish);
  EXPECT_EQ(decode(*space, {{"depth", 0}}).nodes.size(), 6U);
}

TEST(CustomSpace, ATransformerCanBeWrittenWithPatchesAndConditions) {
  const auto space = make(json::parse(R"json({
    "params": [
      {"name": "patch", "choices": [4, 7]},
      {"name": "heads", "min": 1, "max": 2},
      {"name": "depth", "min": 1, "max": 2},
      {"name": "hidden", "min": 0.5, "max": 2.0, "real": true}
    ],
    "template": [
      {"name": "patch_embed", "op": "patch_embed", "patch": "$patch", "embed_dim": "16 * $heads"},
      {"name": "position", "op": "position_embed", "grid_h": "$sample.height / $patch",
       "grid_w": "$sample.width / $patch"},
      {"repeat": "$depth", "index": "b", "nodes": [
        {"nodes": [
          {"name": "blocks.{$b}.norm1", "op": "layer_norm"},
          {"name": "blocks.{$b}.qkv", "op": "linear", "out_factors": [3, "$heads", 16]},
          {"name": "blocks.{$b}.attn", "op": "multi_head_attention", "heads": "$heads"},
          {"name": "blocks.{$b}.add1", "op": "add", "inputs": ["@previous", "@group"]}
        ]},
        {"when": "$b + 1 < $depth", "nodes": [
          {"name": "blocks.{$b}.fc1", "op": "linear", "out_factors": ["max(1, round($hidden * 16))"]},
          {"name": "blocks.{$b}.act", "op": "activation", "kind": "gelu"},
          {"name": "blocks.{$b}.fc2", "op": "linear", "out_factors": ["16 * $heads"]},
          {"name": "blocks.{$b}.add2", "op": "add", "inputs": ["blocks.{$b}.fc2", "@group"]}
        ]}
      ]},
      {"name": "pool", "op": "global_average_pool"},
      {"name": "head", "op": "linear", "out_factors": ["$classes"], "bias": false}
    ]})json"));
  const NetworkGraph net = decode(*space, {{"patch", 7}, {"heads", 2}, {"depth", 2}, {"hidden", 1.5}});
  const std::vector<std::string> all = names(net);
  EXPECT_NE(std::find(all.begin(), all.end(), "blocks.0.fc1"), all.end());
  EXPECT_EQ(std::find(all.begin(), all.end(), "blocks.1.fc1"), all.end()) << "the last block has no second part";
  const auto fc1 = std::find(all.begin(), all.end(), "blocks.0.fc1") - all.begin();
  EXPECT_EQ(std::get<graph::Linear>(net.nodes[static_cast<std::size_t>(fc1)].op).out_factors,
            std::vector<std::int64_t>{24});
  EXPECT_EQ(graph::infer_shapes(net).value()[1], (graph::Shape{16, 32}));
}

TEST(CustomSpace, TheInputMayDependOnGenes) {
  const auto space = make(json::parse(R"json({
    "params": [{"name": "scale", "choices": [0.5, 1.0]}],
    "input": ["$sample.height * $scale", "$sample.width * $scale", "$sample.channels"],
    "template": [{"name": "pool", "op": "global_average_pool"},
                 {"name": "head", "op": "linear", "out_factors": ["$classes"]}]})json"));
  EXPECT_EQ(std::get<graph::Input>(decode(*space, {{"scale", 0.5}}).nodes[0].op).shape, (graph::Shape{14, 14, 1}));
  EXPECT_EQ(std::get<graph::Input>(decode(*space, {{"scale", 1}}).nodes[0].op).shape, (graph::Shape{28, 28, 1}));
}

TEST(CustomSpace, VectorsAreTasksToo) {
  const auto space = make(json::parse(R"json({
    "params": [{"name": "width", "min": 4, "max": 16, "step": 4}],
    "template": [{"name": "hidden", "op": "linear", "out_factors": ["$width"]},
                 {"name": "act", "op": "activation", "kind": "relu"},
                 {"name": "head", "op": "linear", "out_factors": ["$classes"]}]})json"),
                          {{640}, 4});
  EXPECT_EQ(graph::total_counts(decode(*space, {{"width", 8}})).macs, 640 * 8 + 8 * 4);
}

TEST(CustomSpace, BitsOfWeightsMayBeGenes) {
  json options = testing::custom_cnn();
  options["params"].push_back({{"name", "bits"}, {"choices", {4, 8}}});
  options["template"][3]["nodes"][1]["weight_bits"] = "$bits";
  const auto space = make(options);
  for (const std::int64_t bits : {4, 8}) {
    for (const graph::Node& node : decode(*space, {{"depth", 2}, {"bits", bits}}).nodes) {
      if (const auto* conv = std::get_if<graph::Conv2d>(&node.op)) {
        EXPECT_EQ(conv->weight_bits, node.name.ends_with(".pointwise") ? bits : 8) << node.name;
      }
    }
  }
}

TEST(CustomSpace, RepeatedNodesNeedNoGroup) {
  const auto space = make(json::parse(R"json({
    "params": [{"name": "depth", "min": 1, "max": 3}],
    "template": [{"repeat": "$depth", "index": "i", "name": "conv.{$i}", "op": "conv2d", "out_channels": 4,
                  "kernel_h": 3, "kernel_w": 3, "when": "$i != 1"},
                 {"name": "pool", "op": "global_average_pool"},
                 {"name": "head", "op": "linear", "out_factors": ["$classes"]}]})json"));
  EXPECT_EQ(names(decode(*space, {{"depth", 3}})),
            (std::vector<std::string>{"input", "conv.0", "conv.2", "pool", "head"}));
}

TEST(CustomSpace, CornersAreTheEndsOfEachFamily) {
  const auto space = make(testing::custom_cnn());
  std::vector<json> corners;
  for (const Genome& corner : space->corners()) {
    EXPECT_TRUE(space->params().legal(corner));
    corners.push_back(space->params().to_json(corner));
  }
  EXPECT_EQ(corners, (std::vector<json>{{{"width", 8}, {"depth", 0}, {"activation", "relu"}},
                                        {{"width", 32}, {"depth", 3}, {"kernel", 5}, {"activation", "relu"}},
                                        {{"width", 8}, {"depth", 0}, {"activation", "hard_swish"}},
                                        {{"width", 32}, {"depth", 3}, {"kernel", 5}, {"activation", "hard_swish"}}}));
}

/// A wrong config: the good example with one JSON pointer replaced (or removed when the value is `null`).
struct BadConfig {
  std::string pointer;
  std::string value;
  std::string place;
  std::string message;
};

TEST(CustomSpace, RefusesBadConfigsNamingThePlace) {
  const std::vector<BadConfig> cases{
      {"/params", "null", "/space", "\"params\" is missing"},
      {"/template", "null", "/space", "\"template\" is missing"},
      {"/templates", "[]", "/space/templates", "did you mean \"template\""},
      {"/params", "{}", "/space/params", "expected an array"},
      {"/params/0/name", "null", "/space/params/0", "expected an object with a \"name\""},
      {"/params/0/name", "\"1x\"", "/space/params/0/name", "is no name"},
      {"/params/0/name", "\"classes\"", "/space/params/0/name", "property of the task"},
      {"/params/1/name", "\"width\"", "/space/params/1/name", "declared twice"},
      {"/params/0/choices", "[]", "/space/params/0", "no values"},
      {"/params/0/choices", "[8, \"a\"]", "/space/params/0", "mixes"},
      {"/params/0/choices", "[8, true]", "/space/params/0/choices/1", "a number or a string"},
      {"/params/0/choices", "8", "/space/params/0/choices", "expected an array"},
      {"/params/0/min", "1", "/space/params/0/min", "not known"},
      {"/params/1/max", "null", "/space/params/1", "\"max\" is missing"},
      {"/params/1/max", "-1", "/space/params/1", "minimum 0 above maximum -1"},
      {"/params/1/max", "2.5", "/space/params/1/max", "add \"real\": true"},
      {"/params/1/step", "0", "/space/params/1", "step 0"},
      {"/params/1/real", "1", "/space/params/1/real", "true or false"},
      {"/params/1/logarithmic", "true", "/space/params/1/logarithmic", "not known"},
      {"/params/2/active_when", "{}", "/space/params/2/active_when", "one parameter"},
      {"/params/2/active_when", R"({"dept": 1})", "/space/params/2/active_when/dept", "did you mean \"depth\""},
      {"/params/2/active_when", R"({"depth": [7]})", "/space/params/2/active_when/depth", "allowed: 0 to 3"},
      {"/params/2/active_when", R"({"depth": []})", "/space/params/2/active_when", "never"},
      {"/input", "28", "/space/input", "expected an array"},
      {"/input", "[28, 28, 3]", "/space/input", "as in the task's samples"},
      {"/input", "[28, 0, 1]", "/space/input/1", "read 0"},
      {"/template", "[]", "/space/template", "one or more nodes"},
      {"/template/0", "7", "/space/template/0", "expected a node or a group"},
      {"/template/0/op", "null", "/space/template/0", "expected a node with"},
      {"/template/0/op", "\"conv3d\"", "/space/template/0/op", "did you mean \"conv2d\""},
      {"/template/0/name", "7", "/space/template/0/name", "expected a string"},
      {"/template/0/out_channels", "\"$widht\"", "/space/template/0/out_channels", "did you mean \"width\""},
      {"/template/0/out_channels", "\"$width *\"", "/space/template/0/out_channels", "column"},
      {"/template/0/out_channels", "\"$width / 0\"", "/space/template/0/out_channels", "division by zero"},
      {"/template/0/out_channels", "\"$width / 3.0\"", "/space/template/0/out_channels", "expected an integer"},
      {"/template/0/out_channels", "\"$activation\"", "/space/template/0/out_channels", "expected an integer"},
      {"/template/0/out_channels", "null", "/space/template/0/out_channels", "is missing"},
      {"/template/0/groups", "3", "/space/template/0", "groups"},
      {"/template/0/filters", "3", "/space/template/0/filters", "not known"},
      {"/template/0/padding", "\"valid\"", "/space/template/0/padding", "\"valid\" is not known"},
      {"/template/0/inputs", "\"input\"", "/space/template/0/inputs", "expected an array"},
      {"/template/0/inputs", "[\"pool\"]", "/space/template/0/padding", "needs an input among the nodes before"},
      {"/template/1/inputs", "[\"pool\"]", "/space/template/1/inputs/0", "not known"},
      {"/template/1/inputs", "[\"st{em\"]", "/space/template/1/inputs/0", "{ without }"},
      {"/template/0/repeat", "2", "/space/template/0", "name"},
      {"/template/0/index", "\"i\"", "/space/template/0/index", "counts \"repeat\""},
      {"/template/3/index", "\"depth\"", "/space/template/3/index", "already has a meaning"},
      {"/template/3/index", "\"a b\"", "/space/template/3/index", "column 4"},
      {"/template/3/index", "null", "/space/template/3/nodes/0/name", "variable \"i\" is not known"},
      {"/template/3/repeat", "\"$depth - 2\"", "/space/template/3/repeat", "-2 is not allowed"},
      {"/template/4/repeat", "100000", "/space/template/4", "more than 2000 nodes"},
      {"/template/3/nodes/0/repeat", "1e15", "/space/template/3/nodes/0/repeat", "is not allowed"},
      {"/template/3", R"({"repeat": 1000, "index": "i", "nodes": [{"repeat": 1000, "index": "j", "nodes": [
         {"name": "never", "op": "add", "when": "$i < 0"}]}]})",
       "/space/template/3/nodes/0", "more than 50000 repetitions"},
      {"/template/3/name", "\"group\"", "/space/template/3/name", "not known"},
      {"/template/1/when", "\"$kernel > 3\"", "/space/template/1/when", "$kernel is inactive"},
      {"/template/3/nodes", "[]", "/space/template/3/nodes", "one or more nodes"},
      {"/template/3/nodes/0/stride", "2", "/space/template/3/nodes/3", "add"},
      {"/template/3/nodes/1/name", "\"blocks.{$i}.depthwise\"", "/space/template/3/nodes/1", "depthwise"},
      {"/template/5/out_factors", "[7]", "/space/template", "gives [7]; the task needs [10]"},
      {"/template/4", "null", "/space/template", "the task needs [10]"},
  };
  for (const BadConfig& bad : cases) {
    json config = testing::custom_cnn();
    const json::json_pointer pointer(bad.pointer);
    const json value = json::parse(bad.value);
    if (value.is_null()) {
      json& parent = config[pointer.parent_pointer()];
      if (parent.is_array()) {
        parent.erase(std::stoul(pointer.back()));
      } else {
        parent.erase(pointer.back());
      }
    } else {
      config[pointer] = value;
    }
    try {
      static_cast<void>(make(config));
      ADD_FAILURE() << bad.pointer << " = " << bad.value << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place().rfind(bad.place, 0), 0U) << bad.pointer << " = " << bad.value << ": " << error.what();
      EXPECT_NE(error.message().find(bad.message), std::string::npos)
          << bad.pointer << " = " << bad.value << ": " << error.what();
    }
  }
}

TEST(CustomSpace, AnErrorInARareBranchIsFoundAtConstruction) {
  json config = testing::custom_cnn();
  config["template"][3]["nodes"][4]["kind"] = "$widht";
  EXPECT_THROW(static_cast<void>(make(config)), ConfigError) << "unknown variables are found without expansion";
  config = testing::custom_cnn();
  // Only the deepest and widest networks are wrong.
  config["template"][4] = json{{"name", "pool"}, {"op", "global_average_pool"}, {"when", "$depth * $width < 96"}};
  try {
    static_cast<void>(make(config));
    ADD_FAILURE();
  } catch (const ConfigError& error) {
    EXPECT_NE(error.message().find("\"depth\":3"), std::string::npos) << "names the genes: " << error.what();
  }
}

}  // namespace
}  // namespace cosearch
