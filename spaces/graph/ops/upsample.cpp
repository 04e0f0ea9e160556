#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// n, y, x, dy, dx, c: pixel of the input, pixel of its square in the output, channel.
struct Squares {
  Loops loops;
  std::vector<Index> input;
  std::vector<Index> output;
};

Squares make_squares(const Upsample& op, const Scope& scope) {
  const Shape& input = scope.site().inputs[0];
  Squares squares;
  const Index n = squares.loops.add("n", scope.batch());
  const Index y = squares.loops.add("y", input[0]);
  const Index x = squares.loops.add("x", input[1]);
  const Index dy = squares.loops.add("dy", op.factor);
  const Index dx = squares.loops.add("dx", op.factor);
  const Index c = squares.loops.add("c", input[2]);
  squares.input = {n, y, x, c};
  squares.output = {n, op.factor * y + dy, op.factor * x + dx, c};
  return squares;
}

}  // namespace

Inferred infer(const Upsample& op, const Shapes& inputs) {
  const Shape& input = inputs[0];
  if (const auto reason = not_an_image(input)) {
    return Unexpected{*reason};
  }
  // Before the product of the sides, which may overflow.
  if (!bounded_product({input[0], op.factor, input[1], op.factor, input[2]})) {
    return Unexpected{too_large("output elements")};
  }
  return Shape{op.factor * input[0], op.factor * input[1], input[2]};
}

Specs weights(const Upsample& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const Upsample& /*op*/, const Site& site) { return {.macs = 0, .elementwise = elements(site.output)}; }

void lower(const Upsample& op, Scope& scope) {
  const Squares squares = make_squares(op, scope);
  scope.emit(squares.loops,
             {.operands = {Element{scope.input(), squares.input}}, .output = {scope.output(), squares.output}});
}

void lower_gradient(const Upsample& op, Scope& scope) {
  if (!scope.wants_input_gradient()) {
    return;
  }
  const Squares squares = make_squares(op, scope);
  const Target target = scope.input_gradient();
  scope.emit(squares.loops, {.name = "input_gradient",
                             .operands = {Element{scope.output_gradient(), squares.output}},
                             .output = {target.tensor, squares.input, target.accumulate},
                             .reduce = ir::Reduce::sum});
}

}  // namespace cosearch::graph::ops
