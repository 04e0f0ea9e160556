#include <fmt/format.h>

#include <cmath>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// The loops n, h, i, j, d (head, query token, key token, feature of the head) and what is indexed by them.
struct Attention {
  Attention(const MultiHeadAttention& op, Scope& node)
      : scope(&node),
        features(node.site().output[1]),
        head_dim(features / op.heads),
        scale(1.0 / std::sqrt(static_cast<double>(head_dim))) {
    n = loops.add("n", node.batch());
    h = loops.add("h", op.heads);
    i = loops.add("i", node.site().output[0]);
    j = loops.add("j", node.site().output[0]);
    d = loops.add("d", head_dim);
  }

  /// Parts of a packed (n, token, [3 | heads | head_dim]) tensor.
  [[nodiscard]] Element query(Target qkv) const { return {qkv.tensor, {n, i, head_dim * h + d}, qkv.accumulate}; }
  [[nodiscard]] Element key(Target qkv) const {
    return {qkv.tensor, {n, j, head_dim * h + d + features}, qkv.accumulate};
  }
  [[nodiscard]] Element value(Target qkv) const {
    return {qkv.tensor, {n, j, head_dim * h + d + 2 * features}, qkv.accumulate};
  }
  [[nodiscard]] Element query(int qkv) const { return query(Target{qkv}); }
  [[nodiscard]] Element key(int qkv) const { return key(Target{qkv}); }
  [[nodiscard]] Element value(int qkv) const { return value(Target{qkv}); }
  [[nodiscard]] Element score(int tensor) const { return {tensor, {n, h, i, j}}; }
  [[nodiscard]] Element context(int tensor) const { return {tensor, {n, i, head_dim * h + d}}; }

  /// output += factor * a * b
  void contract(const std::string& step, const Element& a, const Element& b, const Element& output,
                double factor) const {
    scope->emit(loops, {.name = step,
                        .combine = ir::Combine::mul,
                        .operands = {a, b},
                        .output = output,
                        .reduce = ir::Reduce::sum,
                        .scale = factor});
  }

  /// n, h, i, j: the last one is what softmax normalizes over.
  [[nodiscard]] Loops softmax_loops() const {
    const auto& list = loops.list();
    return {{"n", "h", "i", "j"}, {list[0].extent, list[1].extent, list[2].extent, list[3].extent}};
  }

  Scope* scope;
  std::int64_t features;
  std::int64_t head_dim;
  double scale;
  Loops loops;
  Index n, h, i, j, d;
};

}  // namespace

Inferred infer(const MultiHeadAttention& op, const Shapes& inputs) {
  const Shape& input = inputs[0];
  if (const auto reason = not_a_sequence(input)) {
    return Unexpected{*reason};
  }
  const std::int64_t tokens = input[0];
  if (input[1] % (3 * op.heads) != 0) {
    return Unexpected{
        fmt::format("its {} input features must be a multiple of 3 * heads = {}", input[1], 3 * op.heads)};
  }
  if (!bounded_product({2, tokens, tokens, input[1]})) {
    return Unexpected{too_large("multiply-accumulates")};
  }
  return Shape{tokens, input[1] / 3};
}

Specs weights(const MultiHeadAttention& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const MultiHeadAttention& op, const Site& site) {
  const std::int64_t tokens = site.output[0];
  const std::int64_t scores = op.heads * tokens * tokens;
  const std::int64_t head_dim = site.output[1] / op.heads;
  // Scores and context; maximum, exp_sub, sum and divide of the softmax.
  return {.macs = 2 * scores * head_dim, .elementwise = 4 * scores};
}

void lower(const MultiHeadAttention& op, Scope& scope) {
  const Attention attention{op, scope};
  const std::int64_t tokens = scope.site().output[0];
  const std::vector<std::int64_t> square = {scope.batch(), op.heads, tokens, tokens};
  const std::vector<std::int64_t> rows = {scope.batch(), op.heads, tokens};
  const int scores = scope.make("scores", square, ir::TensorKind::accumulator);
  const int maximum = scope.make("maximum", rows, ir::TensorKind::accumulator);
  const int exponentials = scope.make("exp", square, ir::TensorKind::accumulator);
  const int sum = scope.make("sum", rows, ir::TensorKind::accumulator);
  const int weights = scope.make("weights", square, ir::TensorKind::activation);

  attention.contract("scores", attention.query(scope.input()), attention.key(scope.input()), attention.score(scores),
                     attention.scale);
  const Loops loops = attention.softmax_loops();
  scope.emit(loops, {.name = "maximum",
                     .operands = {loops.all(scores)},
                     .output = loops.positions(maximum),
                     .reduce = ir::Reduce::max});
  scope.emit(loops, {.name = "exp",
                     .combine = ir::Combine::exp_sub,
                     .operands = {loops.all(scores), loops.positions(maximum)},
                     .output = loops.all(exponentials)});
  scope.emit(loops, {.name = "sum",
                     .operands = {loops.all(exponentials)},
                     .output = loops.positions(sum),
                     .reduce = ir::Reduce::sum});
  scope.emit(loops, {.name = "divide",
                     .combine = ir::Combine::div,
                     .operands = {loops.all(exponentials), loops.positions(sum)},
                     .output = loops.all(weights)});
  attention.contract("context", attention.score(weights), attention.value(scope.input()),
                     attention.context(scope.output()), 1.0);
}

/// Of softmax: d score = weight * (d weight - sum over j of weight * d weight).
void lower_gradient(const MultiHeadAttention& op, Scope& scope) {
  if (!scope.wants_input_gradient()) {
    return;
  }
  const Attention attention{op, scope};
  const std::int64_t tokens = scope.site().output[0];
  const std::vector<std::int64_t> square = {scope.batch(), op.heads, tokens, tokens};
  const int weights = scope.made("weights");
  const int output_gradient = scope.output_gradient();
  // The three parts of qkv are written by three einsums; together they cover it.
  const Target qkv = scope.input_gradient();

  attention.contract("value.gradient", attention.score(weights), attention.context(output_gradient),
                     attention.value(qkv), 1.0);
  const int weights_gradient = scope.make("weights.gradient", square, ir::TensorKind::gradient);
  attention.contract("weights.gradient", attention.context(output_gradient), attention.value(scope.input()),
                     attention.score(weights_gradient), 1.0);

  const Loops loops = attention.softmax_loops();
  const int row_sum = scope.make("softmax_gradient.sum", {scope.batch(), op.heads, tokens}, ir::TensorKind::gradient);
  const int difference = scope.make("softmax_gradient.subtract", square, ir::TensorKind::gradient);
  const int scores_gradient = scope.make("scores.gradient", square, ir::TensorKind::gradient);
  scope.emit(loops, {.name = "softmax_gradient.sum",
                     .combine = ir::Combine::mul,
                     .operands = {loops.all(weights_gradient), loops.all(weights)},
                     .output = loops.positions(row_sum),
                     .reduce = ir::Reduce::sum});
  scope.emit(loops, {.name = "softmax_gradient.subtract",
                     .combine = ir::Combine::sub,
                     .operands = {loops.all(weights_gradient), loops.positions(row_sum)},
                     .output = loops.all(difference)});
  scope.emit(loops, {.name = "scores.gradient",
                     .combine = ir::Combine::mul,
                     .operands = {loops.all(difference), loops.all(weights)},
                     .output = loops.all(scores_gradient)});

  attention.contract("query.gradient", attention.score(scores_gradient), attention.key(scope.input()),
                     attention.query(qkv), attention.scale);
  attention.contract("key.gradient", attention.score(scores_gradient), attention.query(scope.input()),
                     attention.key(qkv), attention.scale);
}

}  // namespace cosearch::graph::ops
