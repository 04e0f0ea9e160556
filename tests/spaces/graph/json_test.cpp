#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "spaces/base/config_error.hpp"
#include "spaces/graph/graph.hpp"
#include "tests/oracle/random_network.hpp"

namespace cosearch::graph {
namespace {

using Json = nlohmann::json;

TEST(GraphJson, RoundTripIsExactForEveryOperatorAndForNetworks) {
  std::vector<NetworkGraph> graphs = {oracle::small_residual_network(), oracle::small_u_net(),
                                      oracle::small_text_network(), oracle::small_transformer()};
  for (std::size_t kind = 1; kind < oracle::kOperatorKinds; ++kind) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      graphs.push_back(oracle::random_operator(kind, seed));
    }
  }
  for (const NetworkGraph& graph : graphs) {
    const Json json = to_json(graph);
    EXPECT_EQ(graph_from_json(json), graph) << json;
    EXPECT_EQ(to_json(graph_from_json(Json::parse(json.dump()))), json);
  }
}

TEST(GraphJson, SeveralOutputsRoundTrip) {
  Builder b{"tasks", {6}};
  const int trunk = b.then("trunk", Activation{});
  b.then("first", Linear{.out_factors = {2}});
  b.add("second", Linear{.out_factors = {3}}, {trunk});
  NetworkGraph graph = std::move(b).finish();
  graph.outputs = {3, 2};
  EXPECT_EQ(graph_from_json(to_json(graph)), graph);
}

TEST(GraphJson, OptionalFieldsMayBeLeftOut) {
  const Json json = Json::parse(R"({"name": "short", "input": [8, 8, 1], "nodes": [
    {"name": "conv", "op": "conv2d", "out_channels": 4, "kernel_h": 3, "kernel_w": 3, "inputs": ["input"]},
    {"name": "norm", "op": "batch_norm", "inputs": ["conv"]},
    {"name": "pool", "op": "global_average_pool", "inputs": ["norm"]},
    {"name": "head", "op": "linear", "out_factors": [10], "inputs": ["pool"]}], "outputs": ["head"]})");
  Builder b{"short", {8, 8, 1}};
  b.then("conv", Conv2d{.out_channels = 4, .kernel_h = 3, .kernel_w = 3});
  b.then("norm", BatchNorm{});
  b.then("pool", GlobalAveragePool{});
  b.then("head", Linear{.out_factors = {10}});
  EXPECT_EQ(graph_from_json(json), std::move(b).finish());
}

TEST(GraphJson, BitsOfWeightsRoundTripAndStandThereOnlyWhereTheyAreNotEight) {
  for (const std::int64_t bits : {8, 4}) {
    Builder b{"bits", {8, 8, 1}};
    b.then("conv", Conv2d{.out_channels = 4, .weight_bits = bits});
    b.then("patches", PatchEmbed{.patch = 4, .embed_dim = 6, .weight_bits = bits});
    b.then("head", Linear{.out_factors = {10}, .in_factors = {}, .weight_bits = bits});
    const NetworkGraph graph = std::move(b).finish();
    const Json json = to_json(graph);
    EXPECT_EQ(graph_from_json(json), graph);
    for (const Json& node : json["nodes"]) {
      EXPECT_EQ(node.contains("weight_bits"), bits == 4) << node;
    }
  }
}

/// A network that each case of the table spoils at one place.
Json sound() {
  return Json::parse(R"({"name": "net", "input": [8, 8, 2], "nodes": [
    {"name": "conv", "op": "conv2d", "out_channels": 4, "kernel_h": 3, "kernel_w": 3, "inputs": ["input"]},
    {"name": "act", "op": "activation", "kind": "relu", "inputs": ["conv"]},
    {"name": "pool", "op": "pool2d", "kind": "max", "kernel": 2, "stride": 2, "inputs": ["act"]},
    {"name": "norm", "op": "batch_norm", "inputs": ["pool"]},
    {"name": "mean", "op": "global_average_pool", "inputs": ["norm"]},
    {"name": "head", "op": "linear", "out_factors": [10], "inputs": ["mean"]}], "outputs": ["head"]})");
}

struct BadJson {
  std::string what;
  std::string patch;  ///< JSON Patch (RFC 6902) to `sound()`
  std::string place;
  std::string message;  ///< a part of it
};

std::vector<BadJson> bad_jsons() {
  return {
      {"NoObject", R"([{"op":"replace","path":"","value":[1]}])", "", "expected an object, read [1]"},
      {"UnknownTopKey", R"([{"op":"add","path":"/node","value":1}])", "/node", "did you mean \"nodes\""},
      {"MissingName", R"([{"op":"remove","path":"/name"}])", "/name", "is missing; expected a string"},
      {"NameNoString", R"([{"op":"replace","path":"/name","value":3}])", "/name", "expected a string, read 3"},
      {"MissingInput", R"([{"op":"remove","path":"/input"}])", "/input", "is missing; expected an array of integers"},
      {"InputNoArray", R"([{"op":"replace","path":"/input","value":28}])", "/input",
       "expected an array of integers, read 28"},
      {"InputZero", R"([{"op":"replace","path":"/input/1","value":0}])", "/input/1",
       "expected an integer from 1 to 16777216, read 0"},
      {"InputFraction", R"([{"op":"replace","path":"/input/1","value":8.5}])", "/input/1", "read 8.5"},
      {"InputEmpty", R"([{"op":"replace","path":"/input","value":[]}])", "/input", "shape () is not allowed"},
      {"NodesNoArray", R"([{"op":"replace","path":"/nodes","value":{}}])", "/nodes",
       "expected an array of nodes, read {}"},
      {"NodeNoObject", R"([{"op":"replace","path":"/nodes/2","value":"pool"}])", "/nodes/2",
       "expected an object, read \"pool\""},
      {"UnknownOperator", R"([{"op":"replace","path":"/nodes/0/op","value":"conv2"}])", "/nodes/0/op",
       "did you mean \"conv2d\""},
      {"SecondInput", R"([{"op":"replace","path":"/nodes/0","value":{"name":"i","op":"input","inputs":[]}}])",
       "/nodes/0/op", "its shape stands in /input"},
      {"MissingOperator", R"([{"op":"remove","path":"/nodes/3/op"}])", "/nodes/3/op", "is missing; expected one of"},
      {"MissingField", R"([{"op":"remove","path":"/nodes/0/kernel_h"}])", "/nodes/0/kernel_h",
       "is missing; expected an integer"},
      {"UnknownField", R"([{"op":"add","path":"/nodes/0/strides","value":2}])", "/nodes/0/strides",
       "did you mean \"stride\""},
      {"FieldOfAnotherOperator", R"([{"op":"add","path":"/nodes/1/heads","value":2}])", "/nodes/1/heads",
       "\"heads\" is not known; known: name, op, inputs, kind"},
      {"KeyWithSlash", R"([{"op":"add","path":"/nodes/1/a~1b~0c","value":2}])", "/nodes/1/a~1b~0c",
       "\"a/b~c\" is not known"},
      {"StrideZero", R"([{"op":"add","path":"/nodes/0/stride","value":0}])", "/nodes/0/stride",
       "expected an integer from 1 to 16777216, read 0"},
      {"StrideHuge", R"([{"op":"add","path":"/nodes/0/stride","value":18446744073709551615}])", "/nodes/0/stride",
       "read 18446744073709551615"},
      {"PaddingNumber", R"([{"op":"add","path":"/nodes/0/padding","value":1}])", "/nodes/0/padding",
       "expected [top, left, bottom, right], read 1"},
      {"PaddingNegative", R"([{"op":"add","path":"/nodes/0/padding","value":[0,0,-1,0]}])", "/nodes/0/padding/2",
       "read -1"},
      {"BiasNumber", R"([{"op":"add","path":"/nodes/0/bias","value":1}])", "/nodes/0/bias",
       "expected true or false, read 1"},
      {"BitsThree", R"([{"op":"add","path":"/nodes/0/weight_bits","value":3}])", "/nodes/0/weight_bits",
       "expected 8 or 4, read 3"},
      {"BitsOfHead", R"([{"op":"add","path":"/nodes/5/weight_bits","value":"4"}])", "/nodes/5/weight_bits",
       "read \"4\""},
      {"BitsWithoutWeights", R"([{"op":"add","path":"/nodes/2/weight_bits","value":4}])", "/nodes/2/weight_bits",
       "\"weight_bits\" is not known"},
      {"EpsilonZero", R"([{"op":"add","path":"/nodes/3/epsilon","value":0}])", "/nodes/3/epsilon",
       "expected a number above 0 and of at most 1, read 0"},
      {"UnknownActivation", R"([{"op":"replace","path":"/nodes/1/kind","value":"relu7"}])", "/nodes/1/kind",
       "known: relu, relu6, hard_swish, gelu"},
      {"UnknownPool", R"([{"op":"replace","path":"/nodes/2/kind","value":"mean"}])", "/nodes/2/kind",
       "known: max, average"},
      {"EmptyFactors", R"([{"op":"replace","path":"/nodes/5/out_factors","value":[]}])", "/nodes/5",
       "out_factors is empty"},
      {"DanglingInput", R"([{"op":"replace","path":"/nodes/1/inputs/0","value":"cony"}])", "/nodes/1/inputs/0",
       "did you mean \"conv\""},
      {"ForwardInput", R"([{"op":"replace","path":"/nodes/1/inputs/0","value":"norm"}])", "/nodes/1/inputs/0",
       "\"norm\" is not known; allowed: \"input\" or the name of an earlier node"},
      {"TooManyInputs", R"([{"op":"add","path":"/nodes/1/inputs/1","value":"input"}])", "/nodes/1/inputs",
       "2 inputs are not allowed for activation; allowed: 1"},
      {"InputsNoArray", R"([{"op":"replace","path":"/nodes/1/inputs","value":"conv"}])", "/nodes/1/inputs",
       "expected an array of names of nodes, read \"conv\""},
      {"TwoNodesOneName", R"([{"op":"replace","path":"/nodes/4/name","value":"act"},
                              {"op":"replace","path":"/nodes/5/inputs/0","value":"act"}])",
       "/nodes/4/name", "two nodes have this name"},
      {"NameOfAWeight", R"([{"op":"replace","path":"/nodes/4/name","value":"conv.weight"},
                            {"op":"replace","path":"/nodes/5/inputs/0","value":"conv.weight"}])",
       "/nodes/4/name", "reserved"},
      {"NameWithSpace", R"([{"op":"replace","path":"/nodes/5/name","value":"my head"},
                            {"op":"replace","path":"/outputs/0","value":"my head"}])",
       "/nodes/5/name", "\"my head\" is not a name"},
      {"KernelTooLarge", R"([{"op":"replace","path":"/nodes/0/kernel_h","value":9}])", "/nodes/0",
       "a 9 x 3 kernel does not fit into (8, 8, 2)"},
      {"GroupsDoNotDivide", R"([{"op":"add","path":"/nodes/0/groups","value":3}])", "/nodes/0",
       "groups = 3 must divide the 2 input channels"},
      {"PoolPadding", R"([{"op":"add","path":"/nodes/2/padding","value":[2,0,0,0]}])", "/nodes/2",
       "padding must be smaller than the kernel"},
      {"NoOutput", R"([{"op":"replace","path":"/outputs","value":[]}])", "/outputs", "there is no output"},
      {"UnknownOutput", R"([{"op":"replace","path":"/outputs/0","value":"heads"}])", "/outputs/0",
       "did you mean \"head\""},
      {"OutputTwice", R"([{"op":"add","path":"/outputs/1","value":"head"}])", "/outputs/1", "stands there twice"},
      {"InputAsOutput", R"([{"op":"add","path":"/outputs/1","value":"input"}])", "/outputs/1",
       "not a node behind the Input"},
      {"DeadNode", R"([{"op":"replace","path":"/outputs/0","value":"mean"}])", "/nodes/5", "nothing uses its output"},
      {"Enormous", R"([{"op":"replace","path":"/input","value":[16777216,16777216,16777216]}])", "/input",
       "more than 2^45"},
  };
}

TEST(GraphJson, WrongJsonIsOneLineThatNamesThePlaceAndWhatIsAllowed) {
  ASSERT_EQ(graph_from_json(sound()).nodes.size(), 7U);
  for (const BadJson& bad : bad_jsons()) {
    SCOPED_TRACE(bad.what);
    const Json json = sound().patch(Json::parse(bad.patch));
    try {
      const NetworkGraph graph = graph_from_json(json);
      ADD_FAILURE() << "was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place(), bad.place);
      EXPECT_THAT(error.message(), testing::HasSubstr(bad.message));
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace cosearch::graph
