#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "spaces/graph/graph.hpp"
#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"

namespace cosearch::program {
namespace {

constexpr std::int64_t kTokens = 12, kFeatures = 10, kExperts = 6, kTopK = 2, kHidden = 7, kTasks = 3;

/// Half a block of a transformer: a norm, the mixture and the residual addition.
graph::NetworkGraph block(bool read_again = false, graph::MoeRouting routing = graph::MoeRouting::per_task) {
  graph::Builder builder("block", {kTokens, kFeatures});
  const int embedded = builder.then("embed", graph::Linear{{kFeatures}});
  const int norm = builder.then("norm", graph::LayerNorm{});
  builder.then("moe", graph::MoeFfn{.experts = kExperts,
                                    .top_k = kTopK,
                                    .hidden = kHidden,
                                    .tasks = kTasks,
                                    .task = 1,
                                    .routing = routing,
                                    .embedding = 5});
  builder.add("add", graph::Add{}, {read_again ? norm : embedded, builder.last()});
  builder.then("head", graph::Linear{{3}});
  return std::move(builder).finish();
}

Program lowered(const graph::NetworkGraph& graph, const LoweringOptions& options) {
  Expected<Program, std::string> program = lower_program(graph, options);
  EXPECT_TRUE(program.has_value()) << (program ? "" : program.error());
  return *std::move(program);
}

const KernelCall& mixture_of(const Program& program) {
  const auto found = std::find_if(program.calls.begin(), program.calls.end(),
                                  [](const KernelCall& call) { return call.kind == KernelKind::mixture; });
  EXPECT_NE(found, program.calls.end());
  return *found;
}

const Buffer& buffer(const Program& program, int index) { return program.buffers.at(static_cast<std::size_t>(index)); }

std::map<std::string, std::int64_t> bytes_by_name(const KernelCall& call) {
  std::map<std::string, std::int64_t> bytes;
  for (const Constant& constant : call.constants) {
    EXPECT_TRUE(bytes.emplace(constant.name, constant.bytes).second) << constant.name;
  }
  return bytes;
}

TEST(Mixtures, BookTheWeightsOfAllExpertsAndTheWorkOfTheChosenOnes) {
  const graph::NetworkGraph network = block();
  const KernelCall call = mixture_of(lowered(network, cosearch_options()));
  EXPECT_EQ(call.name, "moe");
  std::int64_t weights = 0, biases = 0;
  for (const graph::WeightSpec& spec : graph::weights(network)) {
    const bool own = spec.name.rfind("moe.", 0) == 0;
    (spec.name == "moe.b1" || spec.name == "moe.b2" ? biases : weights) += own ? spec.elements() : 0;
  }
  // Beside them a logit's offset, and multipliers of hidden values and of outputs.
  EXPECT_EQ(call.constant_bytes(), weights + 4 * biases + 4 * (kExperts + kExperts * kHidden + kFeatures) + 256);
  const std::map<std::string, std::int64_t> bytes = bytes_by_name(call);
  EXPECT_EQ(bytes.at("moe.router"), kExperts * kFeatures);
  EXPECT_EQ(bytes.at("moe.w1"), kExperts * kFeatures * kHidden);
  EXPECT_EQ(bytes.at("moe.b2"), 4 * kExperts * kFeatures);
  EXPECT_EQ(call.macs, graph::node_counts(network).at(3).macs);
  EXPECT_EQ(call.outputs, kTokens * kFeatures);
  EXPECT_EQ(call.elementwise, kTokens * (2 * kExperts + kExperts * kTopK / 2 + kTopK * (kHidden + kFeatures)));
  EXPECT_EQ(call.weight_bits, 8);
  ASSERT_EQ(call.scratch.size(), 1U);
}

TEST(Mixtures, KeepLogitsHiddenValuesAndSumsOfOneRow) {
  const Program integers = lowered(block(), cosearch_options());
  const Buffer& scratch = buffer(integers, mixture_of(integers).scratch.at(0));
  EXPECT_EQ(scratch.bytes, 4 * kExperts + 8 + 4 * kFeatures) << "7 hidden values take 8 bytes";
  EXPECT_EQ(scratch.alignment, 4);
  LoweringOptions options = cosearch_options();
  options.element_bytes = 4;
  const Program floats = lowered(block(), options);
  const KernelCall& call = mixture_of(floats);
  EXPECT_EQ(buffer(floats, call.scratch.at(0)).bytes, 4 * (kExperts + kHidden + kFeatures));
  EXPECT_EQ(call.weight_bits, 32);
  EXPECT_EQ(call.constant_bytes(),
            4 * (kExperts * (kFeatures + 1) + kExperts * kHidden * (2 * kFeatures + 1) + kExperts * kFeatures));
}

// What the task's embedding adds to the logits is a number for each expert.
TEST(Mixtures, OfAConditionedRouterCostWhatOthersCost) {
  const Program per_task = lowered(block(), cosearch_options());
  const Program conditioned = lowered(block(false, graph::MoeRouting::conditioned), cosearch_options());
  EXPECT_EQ(conditioned, per_task);
}

TEST(Mixtures, OverwriteTheirInputWhereItDies) {
  const Program program = lowered(block(), cosearch_options());
  EXPECT_EQ(buffer(program, mixture_of(program).output).alias_of, mixture_of(program).inputs.at(0));
  const Program read_again = lowered(block(true), cosearch_options());
  EXPECT_FALSE(buffer(read_again, mixture_of(read_again).output).alias_of.has_value());
  LoweringOptions options = plain_options();
  const Program plain = lowered(block(), options);
  EXPECT_FALSE(buffer(plain, mixture_of(plain).output).alias_of.has_value());
}

TEST(Mixtures, RunRowByRowBetweenTheirNeighbours) {
  LoweringOptions options = cosearch_options();
  const std::int64_t whole = peak_live_bytes(lowered(block(), options));
  options.streaming = Streaming::rows;
  const Program program = lowered(block(), options);
  const KernelCall& call = mixture_of(program);
  EXPECT_GE(call.row_block, 0);
  EXPECT_EQ(call.rows, kTokens);
  EXPECT_TRUE(buffer(program, call.inputs.at(0)).per_row);
  EXPECT_EQ(buffer(program, call.inputs.at(0)).bytes, kFeatures);
  EXPECT_EQ(call.macs, mixture_of(lowered(block(), cosearch_options())).macs) << "counts are of all rows";
  EXPECT_LT(peak_live_bytes(program), whole);
}

TEST(Mixtures, OfMoreExpertsThanSharesAreForAreRefused) {
  graph::NetworkGraph network = block();
  std::get<graph::MoeFfn>(network.nodes.at(3).op).experts = kMostExperts;
  EXPECT_FALSE(lacks_kernel(network, cosearch_options()).has_value());
  std::get<graph::MoeFfn>(network.nodes.at(3).op).experts = kMostExperts + 1;
  EXPECT_EQ(lower_program(network, cosearch_options()).error(),
            "node \"moe\": 32769 experts; the kernel takes at most 32768");
}

}  // namespace
}  // namespace cosearch::program
