#include "spaces/base/check.hpp"
#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

struct Combines {
  ir::Combine forward;
  ir::Combine gradient;
};

Combines combines(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::relu:
      return {ir::Combine::relu, ir::Combine::relu_grad};
    case ActivationKind::relu6:
      return {ir::Combine::relu6, ir::Combine::relu6_grad};
    case ActivationKind::hard_swish:
      return {ir::Combine::hard_swish, ir::Combine::hard_swish_grad};
    case ActivationKind::gelu:
      return {ir::Combine::gelu, ir::Combine::gelu_grad};
  }
  COSEARCH_CHECK(false, "an activation is one of its kinds");
}

}  // namespace

Inferred infer(const Activation& /*op*/, const Shapes& inputs) { return inputs[0]; }

Specs weights(const Activation& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const Activation& /*op*/, const Site& site) {
  return {.macs = 0, .elementwise = elements(site.output)};
}

void lower(const Activation& op, Scope& scope) {
  const Loops loops = scope.output_loops();
  scope.emit(loops, {.combine = combines(op.kind).forward,
                     .operands = {loops.all(scope.input())},
                     .output = loops.all(scope.output())});
}

void lower_gradient(const Activation& op, Scope& scope) {
  if (!scope.wants_input_gradient()) {
    return;
  }
  const Loops loops = scope.output_loops();
  scope.emit(loops, {.name = "input_gradient",
                     .combine = combines(op.kind).gradient,
                     .operands = {loops.all(scope.input()), loops.all(scope.output_gradient())},
                     .output = loops.all(scope.input_gradient())});
}

}  // namespace cosearch::graph::ops
