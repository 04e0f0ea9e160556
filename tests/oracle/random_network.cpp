#include "tests/oracle/random_network.hpp"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "spaces/base/rng.hpp"

namespace cosearch::oracle {
namespace {

using graph::Shape;

class Draw {
 public:
  Draw(std::size_t kind, std::uint64_t seed) : rng_(seed, Purpose::test, kind) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool coin() { return between(0, 1) == 1; }
  Shape image() { return {between(1, 7), between(1, 7), between(1, 4)}; }
  Shape sequence() { return {between(1, 5), between(2, 6)}; }
  Shape any_shape() {
    const std::int64_t rank = between(1, 3);
    return rank == 1 ? Shape{between(2, 6)} : rank == 2 ? sequence() : image();
  }
  graph::Padding padding(std::int64_t most) {
    return {between(0, most), between(0, most), between(0, most), between(0, most)};
  }

 private:
  RngStream rng_;
};

struct Drawn {
  Shape input;
  graph::Op op;
};

Drawn draw_conv2d(Draw& draw) {
  const std::int64_t style = draw.between(0, 2);  // dense, grouped, depthwise
  const std::int64_t groups = style == 0 ? 1 : draw.between(2, 3);
  const std::int64_t group_inputs = style == 2 ? 1 : draw.between(1, 3);
  graph::Conv2d op;
  op.out_channels = groups * draw.between(1, 3);
  op.kernel_h = draw.between(1, 3);
  op.kernel_w = draw.between(1, 3);
  op.stride = draw.between(1, 4);
  op.padding = draw.padding(2);
  op.groups = groups;
  op.bias = draw.coin();
  return {{draw.between(3, 7), draw.between(3, 7), groups * group_inputs}, op};
}

Drawn draw_linear(Draw& draw) {
  Drawn drawn{draw.any_shape(), graph::Linear{}};
  graph::Linear op;
  op.bias = draw.coin();
  op.out_factors = {draw.between(1, 4)};
  if (draw.coin()) {
    op.out_factors.push_back(draw.between(1, 3));
    op.in_factors = {2, draw.between(1, 2)};
    drawn.input.back() = op.in_factors[0] * op.in_factors[1];
  }
  drawn.op = op;
  return drawn;
}

Drawn draw_pool2d(Draw& draw) {
  graph::Pool2d op;
  op.kind = draw.coin() ? graph::PoolKind::max : graph::PoolKind::average;
  op.kernel = draw.between(1, 3);
  op.stride = draw.between(1, 4);
  op.padding = draw.padding(op.kernel - 1);
  return {{draw.between(3, 7), draw.between(3, 7), draw.between(1, 3)}, op};
}

Drawn draw_patch_embed(Draw& draw) {
  graph::PatchEmbed op;
  op.patch = draw.between(1, 3);
  op.padding = op.patch == 2 ? draw.between(0, 1) : 0;
  op.embed_dim = draw.between(1, 5);
  return {{op.patch * draw.between(1, 3), op.patch * draw.between(1, 3), draw.between(1, 3)}, op};
}

Drawn draw_moe_ffn(Draw& draw) {
  graph::MoeFfn op;
  op.experts = draw.between(1, 5);
  op.top_k = draw.between(1, op.experts < 3 ? op.experts : 3);
  op.hidden = draw.between(1, 4);
  op.tasks = draw.between(1, 3);
  op.task = draw.between(0, op.tasks - 1);
  op.routing = draw.coin() ? graph::MoeRouting::per_task : graph::MoeRouting::conditioned;
  op.embedding = draw.between(1, 4);
  op.balance = draw.coin() ? 0.0 : 0.5;
  return {draw.sequence(), op};
}

/// One overload per operator: a new one is a compile error here.
struct DrawOperator {
  Draw& draw;  // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members)
  Drawn operator()(const graph::Input& /*kind*/) const { throw std::logic_error("the Input is drawn with others"); }
  Drawn operator()(const graph::Conv2d& /*kind*/) const { return draw_conv2d(draw); }
  Drawn operator()(const graph::Linear& /*kind*/) const { return draw_linear(draw); }
  Drawn operator()(const graph::MultiHeadAttention& /*kind*/) const {
    const std::int64_t heads = draw.between(1, 3);
    return {{draw.between(1, 4), 3 * heads * draw.between(1, 3)}, graph::MultiHeadAttention{heads}};
  }
  Drawn operator()(const graph::BatchNorm& /*kind*/) const {
    return {draw.any_shape(), graph::BatchNorm{.epsilon = 1e-3, .momentum = 0.3}};
  }
  Drawn operator()(const graph::LayerNorm& /*kind*/) const { return {draw.any_shape(), graph::LayerNorm{1e-3}}; }
  Drawn operator()(const graph::Activation& /*kind*/) const {
    return {draw.any_shape(), graph::Activation{static_cast<graph::ActivationKind>(draw.between(0, 3))}};
  }
  Drawn operator()(const graph::Pool2d& /*kind*/) const { return draw_pool2d(draw); }
  Drawn operator()(const graph::GlobalAveragePool& /*kind*/) const {
    return {draw.coin() ? draw.image() : draw.sequence(), graph::GlobalAveragePool{}};
  }
  Drawn operator()(const graph::Add& /*kind*/) const { return {draw.any_shape(), graph::Add{}}; }
  Drawn operator()(const graph::Concat& /*kind*/) const { return {draw.any_shape(), graph::Concat{}}; }
  Drawn operator()(const graph::Upsample& /*kind*/) const {
    return {draw.image(), graph::Upsample{draw.between(1, 3)}};
  }
  Drawn operator()(const graph::TokenEmbed& /*kind*/) const {
    return {{draw.between(1, 5), 1}, graph::TokenEmbed{draw.between(2, 6), draw.between(1, 4)}};
  }
  Drawn operator()(const graph::MoeFfn& /*kind*/) const { return draw_moe_ffn(draw); }
  Drawn operator()(const graph::PatchEmbed& /*kind*/) const { return draw_patch_embed(draw); }
  Drawn operator()(const graph::PositionEmbed& /*kind*/) const {
    const std::int64_t rows = draw.between(1, 3);
    const std::int64_t columns = draw.between(1, 3);
    return {{rows * columns, draw.between(1, 4)}, graph::PositionEmbed{rows, columns}};
  }
};

template <std::size_t... I>
graph::Op operator_of(std::size_t kind, std::index_sequence<I...> /*alternatives*/) {
  graph::Op op;
  ((I == kind ? static_cast<void>(op.emplace<I>()) : static_cast<void>(0)), ...);
  return op;
}

graph::Op trainable_identity(const Shape& shape) {
  if (shape.size() == 3) {
    return graph::Conv2d{.out_channels = shape[2], .groups = shape[2], .bias = true};
  }
  if (shape.size() == 2) {
    return graph::PositionEmbed{shape[0], 1};
  }
  return graph::Linear{.out_factors = {shape[0]}, .in_factors = {}};
}

/// What the operator reads; `last` is the node that stands before it.
std::vector<int> draw_inputs(const graph::Op& op, Draw& draw, graph::Builder& builder) {
  const int last = builder.last();
  if (std::holds_alternative<graph::Add>(op)) {
    return {last, 0};
  }
  std::vector<int> inputs = {last};
  if (std::holds_alternative<graph::Concat>(op)) {
    const std::int64_t others = draw.between(1, 3);
    for (std::int64_t i = 0; i < others; ++i) {
      inputs.push_back(
          builder.add("other." + std::to_string(i), graph::Linear{.out_factors = {draw.between(1, 4)}}, {last}));
    }
    if (draw.coin()) {
      inputs.push_back(0);
    }
  }
  return inputs;
}

}  // namespace

graph::NetworkGraph random_operator(std::size_t kind, std::uint64_t seed, bool behind_weights) {
  Draw draw{kind, seed};
  const graph::Op alternative = operator_of(kind, std::make_index_sequence<kOperatorKinds>{});
  const Drawn drawn = std::visit(DrawOperator{draw}, alternative);
  graph::Builder builder{graph::kind_name(drawn.op), drawn.input};
  if (behind_weights && !std::holds_alternative<graph::TokenEmbed>(drawn.op)) {
    builder.then("before", trainable_identity(drawn.input));
  }
  builder.add("op", drawn.op, draw_inputs(drawn.op, draw, builder));
  return std::move(builder).finish();
}

graph::NetworkGraph small_residual_network() {
  using namespace graph;
  Builder b{"small_residual_network", {8, 8, 2}};
  b.then("stem.conv",
         Conv2d{.out_channels = 4, .kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = same_padding(8, 8, 3, 3, 2)});
  b.then("stem.norm", BatchNorm{});
  const int stem = b.then("stem.act", Activation{ActivationKind::relu6});
  b.then("block.expand", Conv2d{.out_channels = 6, .bias = true});
  b.then("block.expand_act", Activation{ActivationKind::hard_swish});
  b.then("block.depthwise",
         Conv2d{.out_channels = 6, .kernel_h = 3, .kernel_w = 3, .padding = symmetric_padding(3), .groups = 6});
  b.then("block.project", Conv2d{.out_channels = 4});
  const int project = b.then("block.norm", BatchNorm{});
  b.add("block.add", Add{}, {stem, project});
  b.then("pool", Pool2d{.kind = PoolKind::max, .kernel = 3, .stride = 2, .padding = {0, 0, 1, 1}});
  b.then("mean", GlobalAveragePool{});
  b.then("head", Linear{.out_factors = {3}, .in_factors = {}});
  return std::move(b).finish();
}

graph::NetworkGraph small_u_net() {
  using namespace graph;
  Builder b{"small_u_net", {8, 8, 2}};
  const auto conv = [&b](const std::string& name, std::int64_t channels) {
    b.then(name, Conv2d{.out_channels = channels, .kernel_h = 3, .kernel_w = 3, .padding = symmetric_padding(3)});
    b.then(name + ".norm", BatchNorm{});
    return b.then(name + ".act", Activation{ActivationKind::relu});
  };
  const int skip = conv("encoder", 4);
  b.then("pool", Pool2d{});
  conv("bottom", 5);
  const int up = b.then("up", Upsample{2});
  b.add("concat", Concat{}, {skip, up});
  conv("decoder", 4);
  b.then("head", Conv2d{.out_channels = 3, .bias = true});
  return std::move(b).finish();
}

graph::NetworkGraph small_text_network() {
  using namespace graph;
  Builder b{"small_text_network", {5, 1}};
  b.then("words", TokenEmbed{.vocabulary = 7, .width = 4});
  b.then("position", PositionEmbed{5, 1});
  const int embedded = b.then("norm", LayerNorm{});
  b.then("qkv", Linear{.out_factors = {3, 2, 2}});
  b.then("attention", MultiHeadAttention{2});
  b.then("proj", Linear{.out_factors = {4}, .in_factors = {2, 2}});
  b.add("add", Add{}, {embedded, b.last()});
  b.then("attention_norm", LayerNorm{});
  b.then("mean", GlobalAveragePool{});
  b.then("head", Linear{.out_factors = {3}});
  return std::move(b).finish();
}

graph::NetworkGraph small_mixture() {
  using namespace graph;
  Builder b{"small_mixture", {5, 4}};
  const int embedded = b.then("embed", Linear{.out_factors = {6}});
  b.then("norm", LayerNorm{});
  const int mixed = b.then("moe", MoeFfn{.experts = 4, .top_k = 2, .hidden = 5});
  b.add("add", Add{}, {embedded, mixed});
  b.then("mean", GlobalAveragePool{});
  b.then("head", Linear{.out_factors = {3}});
  return std::move(b).finish();
}

graph::NetworkGraph two_tasks() {
  using namespace graph;
  Builder b{"two_tasks", {6, 4}};
  const int trunk = b.then("moe", MoeFfn{.experts = 3, .top_k = 1, .hidden = 5, .tasks = 2});
  const int first = b.then("a", Linear{.out_factors = {2}});
  const int second = b.add("b", Linear{.out_factors = {3}}, {trunk});
  NetworkGraph network = std::move(b).finish();
  network.outputs = {first, second};
  return network;
}

graph::NetworkGraph small_transformer() {
  using namespace graph;
  Builder b{"small_transformer", {6, 6, 2}};
  b.then("patch", PatchEmbed{.patch = 3, .embed_dim = 4});
  const int embedded = b.then("position", PositionEmbed{2, 2});
  b.then("blocks.0.norm1", LayerNorm{});
  b.then("blocks.0.attn.qkv", Linear{.out_factors = {3, 2, 2}, .in_factors = {}});
  b.then("blocks.0.attn", MultiHeadAttention{2});
  b.then("blocks.0.attn.proj", Linear{.out_factors = {4}, .in_factors = {2, 2}});
  const int attended = b.add("blocks.0.add1", Add{}, {embedded, b.last()});
  b.then("blocks.0.norm2", LayerNorm{});
  b.then("blocks.0.mlp.fc1", Linear{.out_factors = {5}, .in_factors = {}});
  b.then("blocks.0.mlp.act", Activation{ActivationKind::gelu});
  b.then("blocks.0.mlp.fc2", Linear{.out_factors = {4}, .in_factors = {}});
  b.add("blocks.0.add2", Add{}, {attended, b.last()});
  b.then("norm", LayerNorm{});
  b.then("pool", GlobalAveragePool{});
  b.then("head", Linear{.out_factors = {3}, .in_factors = {}});
  return std::move(b).finish();
}

}  // namespace cosearch::oracle
