#include <fmt/format.h>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {

Inferred infer(const PositionEmbed& op, const Shapes& inputs) {
  const Shape& input = inputs[0];
  if (const auto reason = not_a_sequence(input)) {
    return Unexpected{*reason};
  }
  if (op.grid_h * op.grid_w != input[0]) {
    return Unexpected{
        fmt::format("grid_h * grid_w = {} * {} must be its input's {} tokens", op.grid_h, op.grid_w, input[0])};
  }
  return input;
}

Specs weights(const PositionEmbed& op, const Site& site) {
  WeightSpec spec;
  spec.name = site.name + ".embedding";
  spec.axes = {{{{op.grid_h, SliceRule::resample, {}}, {op.grid_w, SliceRule::resample, {}}}}, part_axis(site)};
  spec.initializer = Initializer::truncated_normal;
  spec.fan_in = spec.fan_out = site.output[1];
  spec.decay = false;
  return {spec};
}

Arithmetic count(const PositionEmbed& /*op*/, const Site& site) {
  return {.macs = 0, .elementwise = elements(site.output)};
}

void lower(const PositionEmbed& /*op*/, Scope& scope) {
  const Loops loops = scope.output_loops();
  scope.emit(loops, {.combine = ir::Combine::add,
                     .operands = {loops.all(scope.input()), loops.sample(scope.weight("embedding"))},
                     .output = loops.all(scope.output())});
}

void lower_gradient(const PositionEmbed& /*op*/, Scope& scope) {
  const Loops loops = scope.output_loops();
  const Element gradient = loops.all(scope.output_gradient());
  scope.emit(loops, {.name = "embedding.gradient",
                     .operands = {gradient},
                     .output = loops.sample(scope.weight_gradient("embedding")),
                     .reduce = ir::Reduce::sum});
  if (scope.wants_input_gradient()) {
    scope.emit(loops, {.name = "input_gradient", .operands = {gradient}, .output = loops.all(scope.input_gradient())});
  }
}

}  // namespace cosearch::graph::ops
