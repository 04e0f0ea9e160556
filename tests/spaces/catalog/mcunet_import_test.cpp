#include "spaces/catalog/mcunet_import.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <variant>

#include "spaces/base/config_error.hpp"
#include "spaces/program/arena.hpp"
#include "tests/spaces/catalog/mcunet_configurations.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch {
namespace {

using graph::NetworkGraph;
using nlohmann::json;
using testing::mcunet_configuration;

NetworkGraph imported(const std::string& configuration) {
  return mcunet_from_json(mcunet_configuration(configuration), configuration);
}

testing::Table published() { return testing::read_table("mcunet_cfg/published.csv"); }

template <class Op>
std::vector<Op> all(const NetworkGraph& network) {
  std::vector<Op> found;
  for (const graph::Node& node : network.nodes) {
    if (const Op* op = std::get_if<Op>(&node.op)) {
      found.push_back(*op);
    }
  }
  return found;
}

/// Trainable scalars where each batch norm is folded into one bias per channel.
std::int64_t folded_parameters(const NetworkGraph& network) {
  const std::vector<graph::NodeCounts> counts = graph::node_counts(network);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const bool norm = std::holds_alternative<graph::BatchNorm>(network.nodes[i].op);
    sum += norm ? counts[i].parameters / 2 : counts[i].parameters;
  }
  return sum;
}

/// One unit of the last digit of a printed number.
double unit(const std::string& printed) {
  const std::size_t point = printed.find('.');
  return point == std::string::npos ? 1.0 : std::pow(10.0, -static_cast<double>(printed.size() - point - 1));
}

// published: the README rounds its figures or cuts them off, so they are met within one unit of the last digit; the
// calculated ones to their rounding.
TEST(McunetImport, MacsAndParametersAreThePublishedOnes) {
  const testing::Table table = published();
  ASSERT_EQ(table.rows.size(), 9U);
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::string name = table.cell(row, "configuration");
    const NetworkGraph network = imported(name);
    const double mmacs = static_cast<double>(graph::total_counts(network).macs) / 1e6;
    const double mparams = static_cast<double>(graph::total_counts(network).parameters) / 1e6;
    EXPECT_NEAR(mmacs, table.number(row, "calculated_mmacs"), 0.00501) << name;
    EXPECT_NEAR(mmacs, table.number(row, "mmacs"), 0.0501) << name;
    EXPECT_NEAR(static_cast<double>(folded_parameters(network)) / 1e6, table.number(row, "calculated_mparams"),
                0.000501)
        << name;
    EXPECT_NEAR(mparams, table.number(row, "mparams"), unit(table.cell(row, "mparams"))) << name;
  }
}

// published: column "Act" of the model zoo, without kernels that work in place; cut off for mbv2-w0.35-r144.
TEST(McunetImport, ActivationMemoryIsThePublishedOne) {
  const testing::Table table = published();
  program::LoweringOptions plain = program::tflm_reference_options();
  plain.in_place_depthwise = plain.in_place_rows = plain.in_place_add = false;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::string name = table.cell(row, "configuration");
    const program::Program program = *program::lower_program(imported(name), plain);
    const double kib = static_cast<double>(program::plan_arena(program).bytes) / 1024.0;
    std::printf("%-32s planned %7.3f KiB, published %s\n", name.c_str(), kib, table.cell(row, "act_kib").c_str());
    EXPECT_NEAR(kib, table.number(row, "calculated_act_kib"), 0.0501) << name;
    EXPECT_LT(std::abs(kib - table.number(row, "act_kib")), 1.0) << name;
  }
}

/// The networks that mcunet_networks.json describes in a form of its own.
TEST(McunetImport, OperatorsEqualThoseOfTheReferenceNetworks) {
  const testing::Table table = published();
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::string name = table.cell(row, "configuration");
    const NetworkGraph network = imported(name);
    const NetworkGraph reference = testing::reference_network(table.cell(row, "network"));
    ASSERT_EQ(network.nodes.size(), reference.nodes.size()) << name;
    for (std::size_t i = 0; i < network.nodes.size(); ++i) {
      EXPECT_EQ(network.nodes[i].inputs, reference.nodes[i].inputs) << name << " " << network.nodes[i].name;
      if (!std::holds_alternative<graph::BatchNorm>(network.nodes[i].op)) {
        EXPECT_EQ(network.nodes[i].op, reference.nodes[i].op) << name << " " << network.nodes[i].name;
      }
    }
  }
}

/// The files do not say that their weights have four bits; what they describe are larger networks in the same form.
TEST(McunetImport, Int4NetworksAreImportedAsStructures) {
  struct Expected {
    std::string name;
    std::int64_t resolution, blocks, residuals, features;
  };
  for (const Expected& expected : {Expected{"mcunet-256kb-1mb-int4_imagenet", 160, 16, 9, 288},
                                   Expected{"mcunet-320kb-1mb-int4_imagenet", 176, 17, 10, 288},
                                   Expected{"mcunet-512kb-2mb-int4_imagenet", 192, 17, 10, 480}}) {
    const json configuration = mcunet_configuration(expected.name);
    const NetworkGraph network = imported(expected.name);
    EXPECT_EQ(std::get<graph::Input>(network.nodes[0].op).shape,
              (graph::Shape{expected.resolution, expected.resolution, 3}));
    EXPECT_EQ(all<graph::Add>(network).size(), static_cast<std::size_t>(expected.residuals)) << expected.name;
    const std::vector<graph::Conv2d> convolutions = all<graph::Conv2d>(network);
    // All blocks but the first have an expansion.
    ASSERT_EQ(convolutions.size(), static_cast<std::size_t>(1 + 3 * expected.blocks - 1)) << expected.name;
    EXPECT_EQ(convolutions.back().out_channels, expected.features);
    for (std::int64_t i = 1; i < expected.blocks; ++i) {
      const json& block = configuration.at("blocks")[static_cast<std::size_t>(i)].at("mobile_inverted_conv");
      const graph::Conv2d& depthwise = convolutions[static_cast<std::size_t>(3 * i + 1)];
      EXPECT_EQ(depthwise.groups, block.at("mid_channels")) << expected.name << " " << i;
      EXPECT_EQ(depthwise.kernel_h, block.at("kernel_size")) << expected.name << " " << i;
      EXPECT_EQ(depthwise.stride, block.at("stride")) << expected.name << " " << i;
    }
  }
}

TEST(McunetImport, TheCompactFormIsThePublishedFile) {
  const std::string name = "mcunet-10fps_imagenet";
  EXPECT_EQ(testing::mcunet_from_compact(name), testing::mcunet_file(name));
}

TEST(McunetImport, ZeroLayersLeaveTheShortcut) {
  const json configuration = mcunet_configuration("proxyless-w0.25-r112_imagenet");
  ASSERT_EQ(configuration.at("blocks")[3].at("mobile_inverted_conv").at("name"), "ZeroLayer");
  for (const graph::Node& node : imported("proxyless-w0.25-r112_imagenet").nodes) {
    EXPECT_FALSE(node.name.starts_with("blocks.3.") || node.name.starts_with("blocks.4.")) << node.name;
  }
}

TEST(McunetImport, BatchNormsHaveTheFilesSettings) {
  for (const graph::BatchNorm& norm : all<graph::BatchNorm>(imported("mbv2-w0.3-r80_imagenet"))) {
    EXPECT_EQ(norm, (graph::BatchNorm{.epsilon = 1e-3, .momentum = 0.1}));
  }
}

json smallest() { return mcunet_configuration("mcunet-10fps_imagenet"); }

TEST(McunetImport, OptionalPartsFollowTheFile) {
  json changed = smallest();
  changed["first_conv"].update({{"use_bn", false}, {"bias", true}, {"act_func", nullptr}});
  changed["blocks"][1]["mobile_inverted_conv"].update(
      {{"act_func", "h_swish"}, {"mid_channels", nullptr}, {"expand_ratio", 2.53125}});
  changed.erase("bn");
  const NetworkGraph network = mcunet_from_json(changed, "changed");
  EXPECT_EQ(network.name, "changed");
  EXPECT_TRUE(std::get<graph::Conv2d>(network.nodes[1].op).bias);
  EXPECT_TRUE(std::holds_alternative<graph::Conv2d>(network.nodes[2].op)) << "neither batch norm nor activation";
  const auto expand = std::find_if(network.nodes.begin(), network.nodes.end(),
                                   [](const graph::Node& node) { return node.name == "blocks.1.expand"; });
  EXPECT_EQ(std::get<graph::Conv2d>(expand->op).out_channels, 40) << "40.5 rounds to the even number";
  EXPECT_EQ(std::get<graph::Activation>((expand + 2)->op).kind, graph::ActivationKind::hard_swish);
  EXPECT_EQ(all<graph::BatchNorm>(network)[0], graph::BatchNorm{});
}

TEST(McunetImport, TheArgumentTakesThePlaceOfTheFilesResolution) {
  json changed = smallest();
  EXPECT_EQ(std::get<graph::Input>(mcunet_from_json(changed, "n", 64).nodes[0].op).shape, (graph::Shape{64, 64, 3}));
  changed.erase("resolution");
  EXPECT_EQ(mcunet_from_json(changed, "n", 48), mcunet_from_json(smallest(), "n"));
}

TEST(McunetImport, IsToldFromGraphsByItsKeys) {
  EXPECT_TRUE(is_mcunet(smallest()));
  EXPECT_TRUE(is_mcunet(json{{"blocks", json::array()}}));
  EXPECT_FALSE(is_mcunet(graph::to_json(imported("mcunet-10fps_imagenet"))));
  EXPECT_FALSE(is_mcunet(json::array({"first_conv"})));
}

struct BadFile {
  std::string pointer;  ///< what is changed
  json value;           ///< to this; discarded: left out
  std::string place;    ///< of the error
  std::string message;  ///< a part of it
};

TEST(McunetImport, ErrorsNameThePlace) {
  const json gone(json::value_t::discarded);
  const std::string conv = "/blocks/2/mobile_inverted_conv";
  const std::vector<BadFile> files{
      {"/name", "MobileNetV3", "/name", "known: ProxylessNASNets"},
      {"/final_expand_layer", 1, "/final_expand_layer", "is not known"},
      {"/resolution", gone, "/resolution", "is missing"},
      {"/resolution", 0, "/resolution", "an integer from 1"},
      {"/first_conv", gone, "/first_conv", "is missing; expected a ConvLayer"},
      {"/first_conv/name", "DepthConvLayer", "/first_conv/name", "known: ConvLayer"},
      {"/first_conv/groups", 2, "/first_conv/groups", "expected 1, read 2"},
      {"/first_conv/out_channels", gone, "/first_conv/out_channels", "is missing"},
      {"/first_conv/act_func", "tanh", "/first_conv/act_func", "known: h_swish, relu, relu6"},
      {"/bn/ws_eps", 1e-5, "/bn/ws_eps", "expected null"},
      {"/bn/eps", 0, "/bn/eps", "expected"},
      {"/blocks", gone, "/blocks", "is missing; expected an array of blocks"},
      {"/blocks/2/name", "SkipOrMixBlock", "/blocks/2/name", "known: MobileInvertedResidualBlock"},
      {"/blocks/2/shortcut", gone, "/blocks/2/shortcut", "is missing; expected an IdentityLayer or null"},
      {"/blocks/2/shortcut/name", "ConvLayer", "/blocks/2/shortcut/name", "known: IdentityLayer, ZeroLayer"},
      {"/blocks/2/shortcut/in_channels", json::array({8}), "/blocks/2/shortcut/in_channels", "expected 16"},
      {conv, gone, conv, "is missing; expected an MBInvertedConvLayer or a ZeroLayer"},
      {conv + "/name", "MBConv", conv + "/name", "known: MBInvertedConvLayer, ZeroLayer"},
      {conv + "/kernel_size", 4, conv + "/kernel_size", "an odd number"},
      {conv + "/kernel_size", gone, conv + "/kernel_size", "is missing"},
      {conv + "/use_se", true, conv + "/use_se", "expected false, read true"},
      {conv + "/in_channels", 24, conv + "/in_channels", "expected 16"},
      {conv + "/expand_ratio", 0, conv + "/expand_ratio", "expected"},
      {conv + "/expand_ratio", 1, conv + "/mid_channels", "expected 16"},
      {conv + "/stride", 2, "/blocks/2/shortcut", "shape"},
      {conv + "/out_channels", 24, "/blocks/2/shortcut", "shape"},
      {"/blocks/1/mobile_inverted_conv",
       {{"name", "ZeroLayer"}, {"stride", 1}},
       "/blocks/1/mobile_inverted_conv",
       "needs an IdentityLayer"},
      {conv, {{"name", "ZeroLayer"}, {"stride", 2}}, conv + "/stride", "expected 1"},
      {"/feature_mix_layer", gone, "/feature_mix_layer", "is missing; expected a ConvLayer or null"},
      {"/classifier", gone, "/classifier", "is missing"},
      {"/classifier/name", "ConvLayer", "/classifier/name", "known: LinearLayer"},
      {"/classifier/in_features", 160, "/classifier/in_features", "expected 192"},
      {"/classifier/out_features", gone, "/classifier/out_features", "is missing"},
  };
  for (const BadFile& file : files) {
    json changed = smallest();
    const json::json_pointer pointer(file.pointer);
    if (file.value.is_discarded()) {
      changed.at(pointer.parent_pointer()).erase(pointer.back());
    } else {
      changed[pointer] = file.value;
    }
    try {
      static_cast<void>(mcunet_from_json(changed, "changed"));
      ADD_FAILURE() << file.pointer << " was taken";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place(), file.place) << error.what();
      EXPECT_NE(error.message().find(file.message), std::string::npos) << error.what();
    }
  }
}

TEST(McunetImport, NetworksBeyondAllBoundsAreErrorsNotCrashes) {
  json changed = smallest();
  changed["resolution"] = 8192;
  changed["first_conv"].update({{"in_channels", 65536}, {"out_channels", 65536}, {"kernel_size", 255}, {"stride", 1}});
  try {
    static_cast<void>(mcunet_from_json(changed, "changed"));
    ADD_FAILURE();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.place(), "/first_conv") << error.what();
  }
}

}  // namespace
}  // namespace cosearch
