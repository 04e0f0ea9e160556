#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {

Inferred infer(const TokenEmbed& op, const Shapes& inputs) {
  const Shape& input = inputs[0];
  if (input.size() != 2 || input[1] != 1) {
    return Unexpected{"its input must be token ids (tokens, 1), not " + to_string(input)};
  }
  // What the workload's gather runs over.
  if (!bounded_product({input[0], op.width, op.vocabulary})) {
    return Unexpected{too_large("pairs of an output element and a row of the table")};
  }
  return Shape{input[0], op.width};
}

Specs weights(const TokenEmbed& op, const Site& site) {
  WeightSpec spec;
  spec.name = site.name + ".embedding";
  spec.axes = {leading_axis({op.vocabulary}), leading_axis({op.width})};
  spec.initializer = Initializer::truncated_normal;
  spec.fan_in = spec.fan_out = op.width;
  spec.decay = false;
  return {spec};
}

Arithmetic count(const TokenEmbed& /*op*/, const Site& site) {
  return {.macs = 0, .elementwise = elements(site.output)};
}

void lower(const TokenEmbed& op, Scope& scope) {
  Loops loops;
  const Index n = loops.add("n", scope.batch());
  const Index t = loops.add("t", scope.site().output[0]);
  const Index e = loops.add("e", op.width);
  const Index r = loops.add("r", op.vocabulary);
  const std::int64_t outputs = scope.batch() * elements(scope.site().output);
  scope.emit(loops, {.combine = ir::Combine::opaque,
                     .operands = {Element{scope.input(), {n, t, Index{}}}, Element{scope.weight("embedding"), {r, e}}},
                     .output = {scope.output(), {n, t, e}},
                     .opaque = ir::Opaque{"gather", outputs, outputs, outputs}});
}

void lower_gradient(const TokenEmbed& op, Scope& scope) {
  Loops loops;
  const Index r = loops.add("r", op.vocabulary);
  const Index e = loops.add("e", op.width);
  const Index n = loops.add("n", scope.batch());
  const Index t = loops.add("t", scope.site().output[0]);
  const std::int64_t outputs = scope.batch() * elements(scope.site().output);
  // Rows that no token names are written too, with zeros.
  const std::int64_t written = op.vocabulary * op.width;
  scope.emit(loops, {.name = "embedding.gradient",
                     .combine = ir::Combine::opaque,
                     .operands = {Element{scope.input(), {n, t, Index{}}}, Element{scope.output_gradient(), {n, t, e}}},
                     .output = {scope.weight_gradient("embedding"), {r, e}},
                     .opaque = ir::Opaque{"scatter_add", outputs, outputs, written}});
}

}  // namespace cosearch::graph::ops
