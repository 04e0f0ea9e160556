#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "spaces/catalog/families.hpp"
#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"
#include "spaces/program/variants.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::program {
namespace {

using testing::reference_network;
using testing::small_vit;

constexpr std::int64_t kTokens = 49, kEmbed = 64, kHeads = 4, kHeadDim = 16, kHidden = 128, kPatch = 4 * 4 * 3;

Program lowered(const graph::NetworkGraph& graph, Streaming streaming, bool streamed_input = false) {
  LoweringOptions options = cosearch_options();
  options.streaming = streaming;
  options.streamed_input = streamed_input;
  Expected<Program, std::string> program = lower_program(graph, options);
  EXPECT_TRUE(program.has_value());
  return *std::move(program);
}

graph::NetworkGraph low_rank_vit(int factors) {
  catalog::VisionTransformer net;
  net.input = {28, 28, 1};
  net.embed_dim = kEmbed;
  net.blocks.resize(2);
  net.qkv = net.mlp = {factors, 0.5, 0};
  return catalog::build("low_rank", net);
}

std::int64_t live_bytes(const Program& program, const std::string& call) {
  const std::vector<LiveStep> steps = live_steps(program);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (program.calls[i].name == call) {
      return steps[i].bytes;
    }
  }
  ADD_FAILURE() << "no call " << call;
  return 0;
}

// The MLP on one row after the other: the tokens, one normalised row, one hidden row, one row of the result.
TEST(Streaming, MlpNeedsTheTokensAndOneRowOfEachLayer) {
  const graph::NetworkGraph net = small_vit(28, 4, kEmbed, kHeads, 2);
  const Program layers = lowered(net, Streaming::layers);
  EXPECT_EQ(live_bytes(layers, "blocks.0.fc2"), kTokens * (kEmbed + kHidden + kEmbed));
  const Program rows = lowered(net, Streaming::rows);
  EXPECT_EQ(live_bytes(rows, "blocks.0.fc1"), kTokens * kEmbed + kEmbed + kHidden);
  EXPECT_EQ(live_bytes(rows, "blocks.0.fc2"), kTokens * kEmbed + kHidden + kEmbed);
  // The projection's row is added to the tokens in place.
  EXPECT_EQ(live_bytes(rows, "blocks.0.proj"), kTokens * (kEmbed + kHeads * kHeadDim) + kEmbed);
}

// The facts of MCUFormer's token-wise attention: tokens, contexts, keys and values of one head, one query, one row of
// int32 scores; the normalised tokens are stored, or one row of them is computed again.
TEST(Streaming, AttentionNeedsKeysAndValuesOfOneHead) {
  const graph::NetworkGraph net = small_vit(28, 4, kEmbed, kHeads, 2);
  const std::int64_t head = kTokens * (kEmbed + kHeads * kHeadDim + 2 * kHeadDim) + kHeadDim + 4 * kTokens;
  const Program stored = lowered(net, Streaming::heads);
  EXPECT_EQ(live_bytes(stored, "blocks.0.attention.head1.attention_scores"), head + kTokens * kEmbed);
  const Program again = lowered(net, Streaming::heads_recomputed);
  EXPECT_EQ(live_bytes(again, "blocks.0.attention.head1.attention_scores"), head);
  EXPECT_EQ(live_bytes(again, "blocks.0.qkv.head1.q"), head - 4 * kTokens + kEmbed);
}

TEST(Streaming, CountsWhatIsComputedAgain) {
  const auto sum = [](const Program& program, KernelKind kind, std::int64_t KernelCall::*count) {
    std::int64_t total = 0;
    for (const KernelCall& call : program.calls) {
      total += call.kind == kind ? call.*count : 0;
    }
    return total;
  };
  for (const graph::NetworkGraph& net : {small_vit(28, 4, kEmbed, kHeads, 2), low_rank_vit(2), low_rank_vit(3)}) {
    const Program layers = lowered(net, Streaming::layers);
    const std::int64_t macs = sum(layers, KernelKind::fully_connected, &KernelCall::macs);
    const std::int64_t norms = sum(layers, KernelKind::layer_norm, &KernelCall::elementwise);
    for (const Streaming streaming : {Streaming::rows, Streaming::heads}) {
      const Program program = lowered(net, streaming);
      EXPECT_EQ(sum(program, KernelKind::fully_connected, &KernelCall::macs), macs);
      EXPECT_EQ(sum(program, KernelKind::layer_norm, &KernelCall::elementwise), norms);
      EXPECT_EQ(program.constant_bytes(), layers.constant_bytes());
    }
    const Program again = lowered(net, Streaming::heads_recomputed);
    // Of each block's two norms one leads to the attention: twice for each of the four heads.
    EXPECT_EQ(sum(again, KernelKind::layer_norm, &KernelCall::elementwise),
              norms + 2 * (2 * kHeads - 1) * kTokens * kEmbed);
    EXPECT_EQ(again.constant_bytes(), layers.constant_bytes());
  }
}

TEST(Streaming, PeaksFall) {
  for (const auto& [name, net] :
       {std::pair{"vit", small_vit(28, 4, kEmbed, kHeads, 4)}, std::pair{"low rank 2", low_rank_vit(2)},
        std::pair{"low rank 3", low_rank_vit(3)}, std::pair{"mcunet-in4", reference_network("mcunet-in4")},
        std::pair{"mcunet-in2", reference_network("mcunet-in2")}, std::pair{"resnet8", reference_network("resnet8")}}) {
    std::printf("%-12s", name);
    std::int64_t before = std::numeric_limits<std::int64_t>::max();
    for (const Streaming streaming :
         {Streaming::layers, Streaming::rows, Streaming::heads, Streaming::heads_recomputed}) {
      const std::int64_t bytes = plan_arena(lowered(net, streaming)).bytes;
      std::printf("  %s %lld", std::string(streaming_name(streaming)).c_str(), static_cast<long long>(bytes));
      EXPECT_LE(bytes, before);
      before = bytes;
    }
    std::printf("\n");
  }
}

TEST(Streaming, InputIsAskedForPatchByPatch) {
  const graph::NetworkGraph net = small_vit(28, 4, kEmbed, kHeads, 2);
  const Program program = lowered(net, Streaming::rows, true);
  EXPECT_TRUE(program.inputs.empty());
  EXPECT_EQ(program.calls.front().kind, KernelKind::read_input);
  EXPECT_EQ(program.calls.front().rows, kTokens);
  EXPECT_EQ(live_bytes(program, "patch"), kTokens * kEmbed + kPatch);
  EXPECT_EQ(live_bytes(lowered(net, Streaming::rows), "patch"), 28 * 28 * 3 + kTokens * kEmbed + kPatch);
}

TEST(Streaming, CopiedWeightsCountWhileTheirCallRuns) {
  LoweringOptions options = cosearch_options();
  options.weights_in_sram = true;
  const graph::NetworkGraph net = small_vit(28, 4, kEmbed, kHeads, 2);
  const Program program = *lower_program(net, options);
  EXPECT_EQ(live_bytes(program, "blocks.0.fc2"), kTokens * (kEmbed + kHidden + kEmbed) + kHidden * kEmbed + 8 * kEmbed);
}

TEST(Variants, FastestThatFitsAndElseTheSmallest) {
  const graph::NetworkGraph net = small_vit(28, 4, kEmbed, kHeads, 4);
  std::map<Streaming, std::int64_t> peaks;
  for (const Streaming streaming :
       {Streaming::layers, Streaming::rows, Streaming::heads, Streaming::heads_recomputed}) {
    peaks[streaming] = plan_arena(lowered(net, streaming)).bytes;
  }
  for (const auto& [streaming, bytes] : peaks) {
    const PlannedProgram fitted = *fit_program(net, cosearch_options(), bytes);
    EXPECT_LE(fitted.plan.bytes, bytes);
    EXPECT_LE(fitted.options.streaming, streaming);
    EXPECT_LT(fit_program(net, cosearch_options(), bytes - 1)->plan.bytes,
              streaming == Streaming::heads_recomputed ? bytes + 1 : bytes);
  }
  EXPECT_EQ(fit_program(net, cosearch_options(), peaks[Streaming::layers])->options.streaming, Streaming::layers);
  EXPECT_EQ(fit_program(net, cosearch_options(), 0)->plan.bytes, peaks[Streaming::heads_recomputed]);
}

}  // namespace
}  // namespace cosearch::program
