#include <fmt/format.h>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {

Inferred infer(const Add& /*op*/, const Shapes& inputs) {
  if (inputs[0] != inputs[1]) {
    return Unexpected{
        fmt::format("its inputs must have the same shape, not {} and {}", to_string(inputs[0]), to_string(inputs[1]))};
  }
  return inputs[0];
}

Specs weights(const Add& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const Add& /*op*/, const Site& site) { return {.macs = 0, .elementwise = elements(site.output)}; }

void lower(const Add& /*op*/, Scope& scope) {
  const Loops loops = scope.output_loops();
  scope.emit(loops, {.combine = ir::Combine::add,
                     .operands = {loops.all(scope.input(0)), loops.all(scope.input(1))},
                     .output = loops.all(scope.output())});
}

void lower_gradient(const Add& /*op*/, Scope& scope) {
  const Loops loops = scope.output_loops();
  for (std::size_t i = 0; i < 2; ++i) {
    if (scope.wants_input_gradient(i)) {
      scope.emit(loops, {.name = fmt::format("input_gradient.{}", i),
                         .operands = {loops.all(scope.output_gradient())},
                         .output = loops.all(scope.input_gradient(i))});
    }
  }
}

}  // namespace cosearch::graph::ops
