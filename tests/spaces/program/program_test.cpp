#include "spaces/program/program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "spaces/graph/graph.hpp"
#include "tests/oracle/random_network.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::program {
namespace {

using testing::read_table;
using testing::reference_network;
using testing::small_vit;

std::vector<graph::NetworkGraph> networks() {
  std::vector<graph::NetworkGraph> list;
  for (const char* name :
       {"mcunet-in0", "mcunet-in2", "mbv2-w0.3-r64", "resnet8", "ds_cnn", "mobilenet_v1_0.25", "autoencoder"}) {
    list.push_back(reference_network(name));
  }
  list.push_back(small_vit(28, 4, 64, 4, 3));
  list.push_back(oracle::small_u_net());
  list.push_back(oracle::small_text_network());
  return list;
}

std::vector<LoweringOptions> engines() { return {tinyengine_options(), cmsis_nn_options(), tflm_reference_options()}; }

Program lowered(const graph::NetworkGraph& graph, const LoweringOptions& options) {
  Expected<Program, std::string> program = lower_program(graph, options);
  EXPECT_TRUE(program.has_value());
  return *std::move(program);
}

const KernelCall& call_named(const Program& program, const std::string& name) {
  const auto found =
      std::find_if(program.calls.begin(), program.calls.end(), [&](const KernelCall& c) { return c.name == name; });
  EXPECT_NE(found, program.calls.end()) << name;
  return *found;
}

const Buffer& buffer(const Program& program, int index) { return program.buffers.at(static_cast<std::size_t>(index)); }

graph::NetworkGraph single_convolution(const graph::Shape& input, const graph::Conv2d& op) {
  graph::Builder builder("single", input);
  builder.then("conv", op);
  return std::move(builder).finish();
}

TEST(Program, EveryNodeExceptTheInputBelongsToOneOperator) {
  for (const graph::NetworkGraph& network : networks()) {
    for (const LoweringOptions& options : engines()) {
      const Program program = lowered(network, options);
      std::map<int, std::set<int>> heads_of_node;  // the first nodes of the calls that contain a node
      for (const KernelCall& call : program.calls) {
        ASSERT_FALSE(call.nodes.empty());
        for (const int node : call.nodes) {
          heads_of_node[node].insert(call.nodes[0]);
        }
      }
      for (std::size_t node = 1; node < network.nodes.size(); ++node) {
        EXPECT_EQ(heads_of_node[static_cast<int>(node)].size(), 1U) << network.name << " " << network.nodes[node].name;
      }
      EXPECT_EQ(heads_of_node.count(0), 0U);
    }
  }
}

TEST(Program, MultiplyAccumulatesOfEachOperatorEqualTheGraphs) {
  for (const graph::NetworkGraph& network : networks()) {
    const std::vector<graph::NodeCounts> counts = graph::node_counts(network);
    const Program program = lowered(network, tinyengine_options());
    std::map<int, std::int64_t> macs;
    for (const KernelCall& call : program.calls) {
      macs[call.nodes[0]] += call.macs;
    }
    for (std::size_t node = 0; node < counts.size(); ++node) {
      EXPECT_EQ(macs[static_cast<int>(node)], counts[node].macs) << network.name << " " << network.nodes[node].name;
    }
  }
}

TEST(Program, WeightConstantsHoldTheGraphsWeightsAsInt8) {
  for (const graph::NetworkGraph& network : networks()) {
    std::int64_t expected = 0;
    for (const graph::WeightSpec& spec : graph::weights(network)) {
      const std::string suffix = spec.name.substr(spec.name.rfind('.') + 1);
      expected += suffix == "weight" || suffix == "embedding" ? spec.elements() : 0;
    }
    std::int64_t bytes = 0;
    for (const KernelCall& call : lowered(network, cmsis_nn_options()).calls) {
      for (const Constant& constant : call.constants) {
        const std::string suffix = constant.name.substr(constant.name.rfind('.') + 1);
        bytes += suffix == "weight" || suffix == "embedding" ? constant.bytes : 0;
      }
    }
    EXPECT_EQ(bytes, expected) << network.name;
  }
}

// Two weights of four bits share a byte, but not with those of another output channel.
TEST(Program, WeightsOfFourBitsTakeHalfAByteAndChannelsBeginWithANewOne) {
  graph::Builder builder("net", {6, 6, 3});
  builder.then("dense", graph::Conv2d{.out_channels = 5, .kernel_h = 3, .kernel_w = 3, .weight_bits = 4});
  builder.then("depthwise",
               graph::Conv2d{.out_channels = 5, .kernel_h = 3, .kernel_w = 3, .groups = 5, .weight_bits = 4});
  builder.then("patches", graph::PatchEmbed{.patch = 2, .embed_dim = 7, .weight_bits = 4});
  builder.then("even", graph::Linear{.out_factors = {3, 2}, .in_factors = {}, .weight_bits = 4});
  builder.then("eight", graph::Linear{.out_factors = {11}});
  builder.then("odd", graph::Linear{.out_factors = {4}, .in_factors = {}, .weight_bits = 4});
  const graph::NetworkGraph network = std::move(builder).finish();
  const auto nibbles_of = [&](const std::string& name) {
    // Channel by channel: a nibble for each weight, and one more where the last byte is half full.
    for (const graph::WeightSpec& spec : graph::weights(network)) {
      if (spec.name == name + ".weight") {
        std::int64_t nibbles = 0;
        for (std::int64_t channel = 0; channel < spec.shape().back(); ++channel) {
          nibbles += spec.elements() / spec.shape().back();
          nibbles += nibbles % 2;
        }
        return nibbles;
      }
    }
    return std::int64_t{-1};
  };
  const Program program = lowered(network, tinyengine_options());
  for (const std::string name : {"dense", "depthwise", "patches", "even", "odd"}) {
    EXPECT_EQ(2 * call_named(program, name).constants.at(0).bytes, nibbles_of(name)) << name;
  }
  EXPECT_EQ(call_named(program, "eight").constants.at(0).bytes, 6 * 11);
}

TEST(Program, FoldsBatchNormAndActivationIntoTheKernelBeforeThem) {
  graph::Builder builder("net", {8, 8, 3});
  builder.then("conv", graph::Conv2d{4, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  builder.then("norm", graph::BatchNorm{});
  builder.then("gelu", graph::Activation{graph::ActivationKind::gelu});
  const Program program = lowered(std::move(builder).finish(), tinyengine_options());
  ASSERT_EQ(program.calls.size(), 1U);
  EXPECT_EQ(program.calls[0].nodes, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(program.calls[0].activation, graph::ActivationKind::gelu);
  // 108 weights, 8 bytes per channel, a table of 256.
  EXPECT_EQ(program.constant_bytes(), 108 + 4 * 8 + 256);
}

TEST(Program, KeepsABatchNormWhoseInputSomebodyElseReads) {
  graph::Builder builder("net", {8, 8, 3});
  const int conv = builder.then("conv", graph::Conv2d{4, 1, 1, 1, {}, 1, false});
  const int norm = builder.then("norm", graph::BatchNorm{});
  builder.add("add", graph::Add{}, {conv, norm});
  const Program program = lowered(std::move(builder).finish(), tinyengine_options());
  ASSERT_EQ(program.calls.size(), 3U);
  EXPECT_EQ(program.calls[1].kind, KernelKind::batch_norm);
  EXPECT_FALSE(buffer(program, program.calls[1].output).alias_of.has_value()) << "its input is read by the add";
}

TEST(Program, DepthwiseOverwritesItsInputOnlyWhereNobodyReadsItLater) {
  const auto build = [](bool residual) {
    graph::Builder builder("net", {8, 8, 4});
    const int first = builder.then("first", graph::Conv2d{4, 1, 1, 1, {}, 1, false});
    const int depthwise = builder.then("depthwise", graph::Conv2d{4, 3, 3, 1, graph::symmetric_padding(3), 4, false});
    if (residual) {
      builder.add("add", graph::Add{}, {first, depthwise});
    }
    return std::move(builder).finish();
  };
  const Program chain = lowered(build(false), tinyengine_options());
  const KernelCall& in_place = call_named(chain, "depthwise");
  EXPECT_EQ(buffer(chain, in_place.output).alias_of, in_place.inputs[0]);
  const Program residual = lowered(build(true), tinyengine_options());
  EXPECT_FALSE(buffer(residual, call_named(residual, "depthwise").output).alias_of.has_value());
  const Program cmsis = lowered(build(false), cmsis_nn_options());
  EXPECT_FALSE(buffer(cmsis, call_named(cmsis, "depthwise").output).alias_of.has_value());
}

TEST(Program, AddOverwritesADyingInputOnlyWhenAsked) {
  graph::Builder builder("net", {4, 4, 2});
  const int a = builder.then("a", graph::Conv2d{2, 1, 1, 1, {}, 1, false});
  const int b = builder.then("b", graph::Conv2d{2, 1, 1, 1, {}, 1, false});
  builder.add("add", graph::Add{}, {b, a});
  const graph::NetworkGraph network = std::move(builder).finish();
  LoweringOptions options = tinyengine_options();
  EXPECT_FALSE(buffer(lowered(network, options), lowered(network, options).calls.back().output).alias_of.has_value());
  options.in_place_add = true;
  const Program program = lowered(network, options);
  EXPECT_EQ(buffer(program, program.calls.back().output).alias_of, program.calls.back().inputs[1]);  // the older
}

TEST(Program, AttentionWorksRowByRowOnOneScoreRowPerHead) {
  const Program program = lowered(small_vit(28, 4, 64, 4, 1), tinyengine_options());
  const std::int64_t tokens = 49;
  std::map<int, std::vector<KernelKind>> blocks;
  for (const KernelCall& call : program.calls) {
    if (call.row_block >= 0) {
      blocks[call.row_block].push_back(call.kind);
      EXPECT_EQ(call.rows, tokens);
      EXPECT_EQ(call.geometry.heads, 4);
      if (call.kind == KernelKind::attention_scores) {
        EXPECT_EQ(buffer(program, call.output).bytes, 4 * tokens);
        EXPECT_EQ(call.macs, tokens * tokens * 16);
      }
    }
  }
  ASSERT_EQ(blocks.size(), 4U);
  for (const auto& [block, kinds] : blocks) {
    EXPECT_EQ(kinds, (std::vector<KernelKind>{KernelKind::attention_scores, KernelKind::softmax,
                                              KernelKind::attention_context}));
  }
}

TEST(Program, ConcatAndUpsampleAreCopiesIntoBuffersOfTheirOwn) {
  const Program program = lowered(oracle::small_u_net(), tinyengine_options());
  const KernelCall& up = call_named(program, "up");
  EXPECT_EQ(up.elementwise, 8 * 8 * 5);
  EXPECT_EQ(buffer(program, up.inputs.at(0)).bytes, 4 * 4 * 5);
  EXPECT_EQ(buffer(program, up.output).bytes, 8 * 8 * 5);
  const KernelCall& concat = call_named(program, "concat");
  ASSERT_EQ(concat.inputs.size(), 2U);
  EXPECT_EQ(buffer(program, concat.inputs[0]).name, "encoder.act") << "the skip stays until then";
  EXPECT_EQ(concat.inputs[1], up.output);
  EXPECT_EQ(buffer(program, concat.output).bytes, 8 * 8 * 9);
  EXPECT_FALSE(buffer(program, concat.output).alias_of.has_value());
  EXPECT_EQ(concat.elementwise, 8 * 8 * 9);
  EXPECT_EQ(concat.constant_bytes(), 2 * 8) << "bias and multiplier of each input's scale";
}

TEST(Program, TokenEmbedReadsInt32IdsAndATableInFlash) {
  const Program program = lowered(oracle::small_text_network(), tinyengine_options());
  const KernelCall& words = call_named(program, "words");
  EXPECT_EQ(buffer(program, words.inputs.at(0)).bytes, 4 * 5);
  EXPECT_EQ(buffer(program, words.inputs.at(0)).alignment, 4);
  EXPECT_EQ(buffer(program, words.output).bytes, 5 * 4);
  EXPECT_EQ(words.constant_bytes(), 7 * 4);
  EXPECT_EQ(words.elementwise, 5 * 4);
}

TEST(Program, OutputsAndInputsAreTheGraphs) {
  graph::NetworkGraph network = reference_network("resnet8");
  network.outputs.push_back(1);  // a second task reads the stem before its activation
  const Program program = lowered(network, tinyengine_options());
  ASSERT_EQ(program.inputs.size(), 1U);
  EXPECT_EQ(buffer(program, program.inputs[0]).bytes, 32 * 32 * 3);
  ASSERT_EQ(program.outputs.size(), 2U);
  EXPECT_EQ(buffer(program, program.outputs[0]).bytes, 10);
  EXPECT_EQ(buffer(program, program.outputs[1]).name, "stem");
  EXPECT_EQ(call_named(program, "stem").nodes.size(), 1U) << "the activation must not overwrite a task's output";
}

// measured elsewhere: the buffer sizes that an instrumented CMSIS-NN asked for.
TEST(Program, CmsisNnScratchEqualsTheBuffersOfAnInstrumentedRun) {
  const testing::Table table = read_table("cmsis_nn_instructions.csv");
  ASSERT_GT(table.rows.size(), 40U);
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const auto integer = [&](const char* column) { return static_cast<std::int64_t>(table.number(row, column)); };
    const std::string kind = table.cell(row, "kind");
    if (kind == "fc") {
      continue;  // fully connected layers have no scratch by construction of the rule
    }
    graph::Conv2d op;
    op.out_channels = integer("out_c");
    op.kernel_h = integer("kernel_h");
    op.kernel_w = integer("kernel_w");
    op.stride = integer("stride");
    op.groups = kind == "dw" ? integer("in_c") : 1;
    if (kind != "pw") {
      op.padding = graph::same_padding(integer("in_h"), integer("in_w"), op.kernel_h, op.kernel_w, op.stride);
    }
    const Program program =
        lowered(single_convolution({integer("in_h"), integer("in_w"), integer("in_c")}, op), cmsis_nn_options());
    std::int64_t scratch = 0;
    for (const int index : program.calls.at(0).scratch) {
      scratch += buffer(program, index).bytes;
    }
    EXPECT_EQ(scratch, integer("scratch_bytes")) << "row " << row;
    EXPECT_EQ(program.calls[0].macs, integer("macs")) << "row " << row;
  }
}

TEST(Program, TinyEngineScratchFollowsItsRules) {
  graph::Builder builder("net", {9, 7, 3});
  builder.then("conv", graph::Conv2d{8, 3, 3, 1, graph::symmetric_padding(3), 1, false});
  builder.then("depthwise", graph::Conv2d{8, 5, 5, 1, graph::symmetric_padding(5), 8, false});
  builder.then("pointwise", graph::Conv2d{16, 1, 1, 1, {}, 1, false});
  const Program program = lowered(std::move(builder).finish(), tinyengine_options());
  std::map<std::string, std::int64_t> scratch;
  for (const Buffer& b : program.buffers) {
    if (b.role == BufferRole::scratch) {
      EXPECT_TRUE(b.persistent);
      scratch[b.name] = b.bytes;
    }
  }
  // 2 * padded plane of the depthwise exceeds 4*3*3*3 and 4*8; 2 * 216 weights.
  EXPECT_EQ(scratch, (std::map<std::string, std::int64_t>{{"im2col", 2 * 13 * 11}, {"kernel", 2 * 216}}));
}

TEST(Program, MalformedGraphIsAnErrorNotACrash) {
  graph::NetworkGraph network = reference_network("resnet8");
  network.nodes.back().op = graph::Linear{{10}, {7}, true};
  EXPECT_FALSE(lower_program(network, tinyengine_options()).has_value());
}

TEST(Program, AMixtureOfExpertsIsRefusedByNameNotMiscompiled) {
  for (const LoweringOptions& options : engines()) {
    const auto program = lower_program(oracle::small_mixture(), options);
    ASSERT_FALSE(program.has_value());
    EXPECT_EQ(program.error(), "node \"moe\": there is no kernel for moe_ffn");
  }
}

TEST(Program, KindNamesAreUnique) {
  std::set<std::string_view> names;
  for (const KernelKind kind : all_kernel_kinds()) {
    EXPECT_TRUE(names.insert(kind_name(kind)).second);
  }
  EXPECT_EQ(names.size(), 21U);
}

}  // namespace
}  // namespace cosearch::program
