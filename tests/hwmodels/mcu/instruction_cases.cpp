#include "tests/hwmodels/mcu/instruction_cases.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "spaces/base/check.hpp"
#include "spaces/catalog/registry.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::testing {
namespace {

using graph::Activation;
using graph::ActivationKind;
using graph::Builder;
using graph::NetworkGraph;
using graph::Op;
using graph::Shape;
using program::Streaming;

std::string text(const Shape& shape) { return fmt::format("{}", fmt::join(shape, "x")); }

class Cases {
 public:
  /// A network of one operator, and perhaps an activation that is fused into it.
  void add(const std::string& kind, const std::string& detail, const Shape& input, const Op& op,
           std::optional<ActivationKind> activation = std::nullopt) {
    Builder builder("network", input);
    builder.then("layer", op);
    if (activation) {
      builder.then("act", Activation{*activation});
    }
    std::string name = kind + " " + text(input) + (detail.empty() ? "" : " " + detail);
    if (activation == ActivationKind::gelu) {
      name += " gelu";
    }
    add(std::move(name), std::move(builder).finish());
  }

  void add(std::string name, NetworkGraph network, std::size_t first_call = 0, std::size_t calls = 0,
           const program::LoweringOptions& options = program::cosearch_options()) {
    cases_.push_back({std::move(name), std::move(network), options, false, first_call, calls});
  }

  void hold_out(std::string name, NetworkGraph network, const program::LoweringOptions& options) {
    cases_.push_back({std::move(name), std::move(network), options, true});
  }

  [[nodiscard]] std::vector<InstructionCase> all() && { return std::move(cases_); }

 private:
  std::vector<InstructionCase> cases_;
};

graph::Conv2d conv(std::int64_t channels, std::int64_t kernel, std::int64_t stride = 1, std::int64_t groups = 1,
                   std::int64_t bits = 8) {
  return {channels, kernel, kernel, stride, graph::symmetric_padding(kernel), groups, true, bits};
}

void add_convolutions(Cases& cases) {
  cases.add("conv2d", "3x3 to 8", {16, 16, 3}, conv(8, 3));
  cases.add("conv2d", "3x3 to 16 by 2", {24, 24, 3}, conv(16, 3, 2));
  cases.add("conv2d", "3x3 to 16", {12, 12, 16}, conv(16, 3));
  cases.add("conv2d", "3x3 to 32", {8, 8, 32}, conv(32, 3), ActivationKind::relu);
  cases.add("conv2d", "5x5 to 8", {16, 16, 1}, conv(8, 5));
  cases.add("conv2d", "5x5 to 24", {10, 10, 8}, conv(24, 5));
  cases.add("conv2d", "3x3 to 24 by 2", {14, 14, 16}, conv(24, 3, 2), ActivationKind::gelu);
  cases.add("conv2d", "3x3 to 16 in 4 groups", {12, 12, 16}, conv(16, 3, 1, 4));
  cases.add("conv2d", "3x3 to 8 gelu", {16, 16, 4}, conv(8, 3), ActivationKind::gelu);
  cases.add("conv2d", "3x3 to 16 int4", {12, 12, 16}, conv(16, 3, 1, 1, 4));
  cases.add("conv2d", "3x3 to 32 int4", {8, 8, 24}, conv(32, 3, 1, 1, 4));
  cases.add("pointwise_conv2d", "to 32", {8, 8, 16}, conv(32, 1));
  cases.add("pointwise_conv2d", "to 16", {16, 16, 8}, conv(16, 1), ActivationKind::relu6);
  cases.add("pointwise_conv2d", "to 24", {6, 6, 96}, conv(24, 1));
  cases.add("pointwise_conv2d", "to 128", {5, 5, 32}, conv(128, 1));
  cases.add("pointwise_conv2d", "to 64", {3, 3, 160}, conv(64, 1));
  cases.add("pointwise_conv2d", "to 48 by 2", {14, 14, 24}, conv(48, 1, 2));
  cases.add("pointwise_conv2d", "to 8", {16, 16, 32}, conv(8, 1), ActivationKind::gelu);
  cases.add("pointwise_conv2d", "to 96", {7, 7, 24}, conv(96, 1), ActivationKind::gelu);
  cases.add("pointwise_conv2d", "to 64", {1, 1, 64}, conv(64, 1));
  cases.add("pointwise_conv2d", "to 32", {1, 1, 192}, conv(32, 1));
  cases.add("pointwise_conv2d", "to 32 int4", {8, 8, 16}, conv(32, 1, 1, 1, 4));
  cases.add("pointwise_conv2d", "to 24 int4", {6, 6, 96}, conv(24, 1, 1, 1, 4));
}

void add_depthwise(Cases& cases) {
  cases.add("depthwise_conv2d", "3x3", {16, 16, 8}, conv(8, 3, 1, 8));
  cases.add("depthwise_conv2d", "3x3", {8, 8, 64}, conv(64, 3, 1, 64), ActivationKind::relu);
  cases.add("depthwise_conv2d", "3x3", {24, 24, 16}, conv(16, 3, 1, 16));
  cases.add("depthwise_conv2d", "3x3 by 2", {24, 24, 16}, conv(16, 3, 2, 16));
  cases.add("depthwise_conv2d", "3x3", {4, 4, 128}, conv(128, 3, 1, 128));
  cases.add("depthwise_conv2d", "5x5", {12, 12, 24}, conv(24, 5, 1, 24));
  cases.add("depthwise_conv2d", "5x5", {8, 8, 96}, conv(96, 5, 1, 96));
  cases.add("depthwise_conv2d", "7x7", {10, 10, 16}, conv(16, 7, 1, 16));
  cases.add("depthwise_conv2d", "7x7", {5, 5, 72}, conv(72, 7, 1, 72));
  cases.add("depthwise_conv2d", "5x5 by 2", {18, 18, 8}, conv(8, 5, 2, 8), ActivationKind::gelu);
  cases.add("depthwise_conv2d", "3x3", {10, 10, 32}, conv(32, 3, 1, 32), ActivationKind::gelu);
  cases.add("depthwise_conv2d", "3x3 int4", {10, 10, 32}, conv(32, 3, 1, 32, 4));
  cases.add("depthwise_conv2d", "5x5 int4", {10, 10, 24}, conv(24, 5, 1, 24, 4));
}

void add_linear_maps(Cases& cases) {
  const auto linear = [](std::int64_t features, std::int64_t bits = 8) {
    return graph::Linear{{features}, {}, true, bits};
  };
  cases.add("fully_connected", "to 96", {16, 48}, linear(96));
  cases.add("fully_connected", "to 48", {16, 96}, linear(48));
  cases.add("fully_connected", "to 16", {30, 64}, linear(16));
  cases.add("fully_connected", "to 64", {30, 16}, linear(64));
  cases.add("fully_connected", "to 128", {9, 32}, linear(128), ActivationKind::gelu);
  cases.add("fully_connected", "to 32", {25, 24}, linear(32), ActivationKind::gelu);
  cases.add("fully_connected", "to 10", {64}, linear(10));
  cases.add("fully_connected", "to 128", {128}, linear(128), ActivationKind::relu);
  cases.add("fully_connected", "to 8", {128}, linear(8));
  cases.add("fully_connected", "to 64", {16}, linear(64));
  cases.add("fully_connected", "to 96 int4", {16, 48}, linear(96, 4));
  cases.add("fully_connected", "to 32 int4", {20, 80}, linear(32, 4));
  cases.add("patch_embed", "4x4 to 32", {16, 16, 3}, graph::PatchEmbed{4, 32});
  cases.add("patch_embed", "2x2 to 48", {16, 16, 3}, graph::PatchEmbed{2, 48});
  cases.add("patch_embed", "7x7 to 16", {28, 28, 1}, graph::PatchEmbed{7, 16});
  cases.add("patch_embed", "8x8 to 64", {32, 32, 3}, graph::PatchEmbed{8, 64});
  cases.add("patch_embed", "4x4 to 96", {12, 12, 1}, graph::PatchEmbed{4, 96});
  cases.add("patch_embed", "5x5 to 24", {20, 20, 3}, graph::PatchEmbed{5, 24});
  cases.add("patch_embed", "4x4 to 32 int4", {16, 16, 3}, graph::PatchEmbed{4, 32, 0, 4});
  cases.add("patch_embed", "6x6 to 48 int4", {24, 24, 3}, graph::PatchEmbed{6, 48, 0, 4});
}

void add_mixtures(Cases& cases) {
  struct Size {
    std::int64_t tokens, features, experts, top_k, hidden;
  };
  for (const Size& size : {Size{16, 32, 4, 1, 32}, Size{25, 48, 8, 2, 24}, Size{16, 64, 8, 1, 128},
                           Size{49, 16, 16, 4, 8}, Size{9, 96, 4, 2, 48}, Size{16, 48, 16, 2, 96},
                           Size{36, 24, 8, 4, 12}, Size{12, 40, 4, 4, 80}, Size{10, 32, 16, 1, 16}}) {
    cases.add("mixture", fmt::format("{} of {} x {}", size.top_k, size.experts, size.hidden),
              {size.tokens, size.features},
              graph::MoeFfn{.experts = size.experts, .top_k = size.top_k, .hidden = size.hidden});
  }
}

/// The three stages of attention share a row block: all heads of one first, then with each further stage.
void add_attention(Cases& cases) {
  struct Size {
    std::int64_t tokens, head_dim;
  };
  for (const Size& size : {Size{16, 16}, Size{49, 16}, Size{25, 32}, Size{64, 8}, Size{36, 24}}) {
    const Shape input{size.tokens, 3 * size.head_dim};
    Builder builder("network", input);
    builder.then("layer", graph::MultiHeadAttention{1});
    const NetworkGraph network = std::move(builder).finish();
    cases.add("attention_scores " + text(input), network, 0, 1);
    cases.add("softmax " + text(input), network, 1, 1);
    cases.add("attention_context " + text(input), network, 2, 1);
  }
}

void add_pools(Cases& cases) {
  using graph::PoolKind;
  for (const auto& [name, kind] :
       {std::pair{"max_pool", PoolKind::max}, std::pair{"average_pool", PoolKind::average}}) {
    cases.add(name, "2x2", {16, 16, 8}, graph::Pool2d{kind, 2, 2, {}});
    cases.add(name, "3x3 by 2", {15, 15, 16}, graph::Pool2d{kind, 3, 2, {1, 1, 1, 1}});
    cases.add(name, "2x2", {8, 8, 32}, graph::Pool2d{kind, 2, 2, {}});
    cases.add(name, "4x4 by 4", {12, 12, 16}, graph::Pool2d{kind, 4, 4, {}});
  }
  for (const Shape& input : {Shape{8, 8, 64}, Shape{4, 4, 128}, Shape{16, 16, 16}, Shape{25, 48}}) {
    cases.add("global_average_pool", "", input, graph::GlobalAveragePool{});
  }
}

/// Two inputs: that of the network and what a batch norm makes of it.
NetworkGraph two_inputs(const Shape& input, const Op& op, bool gelu) {
  Builder builder("network", input);
  const int other = builder.then("other", graph::BatchNorm{});
  builder.add("layer", op, {0, other});
  if (gelu) {
    builder.then("act", Activation{ActivationKind::gelu});
  }
  return std::move(builder).finish();
}

void add_elementwise(Cases& cases) {
  for (const Shape& input : {Shape{16, 16, 8}, Shape{25, 48}, Shape{6, 6, 64}, Shape{9, 96}}) {
    for (const bool gelu : {false, true}) {
      cases.add("add " + text(input) + (gelu ? " gelu" : ""), two_inputs(input, graph::Add{}, gelu), 1, 1);
    }
    cases.add("concat " + text(input), two_inputs(input, graph::Concat{}, false), 1, 1);
    cases.add("batch_norm", "", input, graph::BatchNorm{});
    cases.add("layer_norm", "", input, graph::LayerNorm{});
    cases.add("activation", "gelu", input, Activation{ActivationKind::gelu});
  }
  for (const Shape& input : {Shape{16, 64}, Shape{25, 48}, Shape{9, 96}}) {
    cases.add("position_embed", "", input, graph::PositionEmbed{1, input[0]});
  }
  for (const Shape& input : {Shape{4, 4, 8}, Shape{8, 8, 16}, Shape{6, 6, 32}, Shape{3, 3, 64}}) {
    cases.add("upsample", "", input, graph::Upsample{2});
  }
  for (const std::int64_t width : {16, 32, 64, 96}) {
    cases.add("token_embed", fmt::format("{}", width), {20, 1}, graph::TokenEmbed{50, width});
  }
}

/// One row of patches after the other, as the caller of an exported network gives them.
void add_streamed_inputs(Cases& cases) {
  program::LoweringOptions options = program::cosearch_options();
  options.streamed_input = true;
  for (const std::int64_t patch : {2, 4, 6, 8}) {
    const Shape input{24, 24, 3};
    Builder builder("network", input);
    builder.then("layer", graph::PatchEmbed{patch, 16});
    cases.add(fmt::format("read_input {} {}x{}", text(input), patch, patch), std::move(builder).finish(), 0, 1,
              options);
  }
}

NetworkGraph with_int4(NetworkGraph network) {
  for (graph::Node& node : network.nodes) {
    std::visit(
        [](auto& op) {
          if constexpr (requires { op.weight_bits; }) {
            op.weight_bits = 4;
          }
        },
        node.op);
  }
  return network;
}

/// A transformer whose linear maps have two factors of a small rank.
NetworkGraph low_rank_vit() {
  constexpr std::int64_t kWidth = 48, kRank = 16, kTokens = 49;
  Builder builder("low_rank_vit", {28, 28, 1});
  const auto low_rank = [&builder](const std::string& name, std::int64_t features) {
    builder.then(name + ".down", graph::Linear{{kRank}, {}, false});
    builder.then(name + ".up", graph::Linear{{features}, {}, true});
  };
  builder.then("embed", graph::PatchEmbed{4, kWidth});
  int residual = builder.then("position", graph::PositionEmbed{7, kTokens / 7});
  builder.then("attn.norm", graph::LayerNorm{});
  low_rank("attn.qkv", 3 * kWidth);
  builder.then("attn", graph::MultiHeadAttention{3});
  low_rank("attn.proj", kWidth);
  residual = builder.add("attn.add", graph::Add{}, {residual, builder.last()});
  builder.then("mlp.norm", graph::LayerNorm{});
  low_rank("mlp.fc1", 2 * kWidth);
  builder.then("mlp.act", Activation{ActivationKind::gelu});
  low_rank("mlp.fc2", kWidth);
  builder.add("mlp.add", graph::Add{}, {residual, builder.last()});
  builder.then("norm", graph::LayerNorm{});
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("head", graph::Linear{{10}});
  return std::move(builder).finish();
}

/// A transformer of which every second block has experts.
NetworkGraph moe_vit() {
  const std::unique_ptr<SearchSpace> space = make_space("moe_vit", nlohmann::json::object(), {{28, 28, 1}, 10});
  const nlohmann::json genes = {
      {"patch", 4},          {"embed_dim", 48},     {"depth", 4},          {"moe", "every_second"},
      {"experts", 8},        {"top_k", 2},          {"expert_ratio", 1.0}, {"mlp_ratio", 2.0},
      {"blocks.0.heads", 3}, {"blocks.1.heads", 3}, {"blocks.2.heads", 3}, {"blocks.3.heads", 3}};
  return std::get<NetworkGraph>(space->decode(space->params().from_json(genes)));
}

void add_held_out(Cases& cases) {
  const program::LoweringOptions layers = program::cosearch_options();
  for (const char* name : {"resnet8", "ds_cnn", "mobilenet_v1_0.25", "autoencoder"}) {
    cases.hold_out(name, reference_network(name), layers);
  }
  cases.hold_out("resnet8 int4", with_int4(reference_network("resnet8")), layers);
  const NetworkGraph vit = small_vit(28, 4, 48, 3, 2);
  for (const Streaming streaming :
       {Streaming::layers, Streaming::rows, Streaming::heads, Streaming::heads_recomputed}) {
    program::LoweringOptions options = layers;
    options.streaming = streaming;
    const std::string name(program::streaming_name(streaming));
    cases.hold_out("vit " + name, vit, options);
    if (streaming == Streaming::layers || streaming == Streaming::heads) {
      cases.hold_out("moe_vit " + name, moe_vit(), options);
      cases.hold_out("low_rank_vit " + name, low_rank_vit(), options);
    }
  }
  cases.hold_out("vit int4", with_int4(vit), layers);
  program::LoweringOptions patches = layers;
  patches.patches = 2;
  cases.hold_out("mcunet-in0 2x2 patches", reference_network("mcunet-in0"), patches);
  cases.hold_out("mcunet-in0", reference_network("mcunet-in0"), layers);
}

std::vector<InstructionCase> make_cases() {
  Cases cases;
  add_convolutions(cases);
  add_depthwise(cases);
  add_linear_maps(cases);
  add_mixtures(cases);
  add_attention(cases);
  add_pools(cases);
  add_elementwise(cases);
  add_streamed_inputs(cases);
  add_held_out(cases);
  return std::move(cases).all();
}

}  // namespace

const std::vector<InstructionCase>& instruction_cases() {
  static const std::vector<InstructionCase> cases = make_cases();
  return cases;
}

program::Program program_of(const InstructionCase& measured) {
  Expected<program::Program, std::string> program = program::lower_program(measured.network, measured.options);
  COSEARCH_CHECK(program.has_value(), "a case with a malformed network");
  return *std::move(program);
}

std::span<const program::KernelCall> measured_calls(const InstructionCase& measured, const program::Program& program) {
  const std::span<const program::KernelCall> calls(program.calls);
  return measured.calls == 0 ? calls : calls.subspan(measured.first_call, measured.calls);
}

}  // namespace cosearch::testing
