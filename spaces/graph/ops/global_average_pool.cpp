#include <fmt/format.h>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// Element (n, feature).
Element sample_features(const Loops& loops, int tensor) {
  const Element all = loops.all(tensor);
  return {tensor, {all.axes.front(), all.axes.back()}};
}

/// Of one position in the mean.
double share(const Scope& scope) {
  const Site& site = scope.site();
  return static_cast<double>(elements(site.output)) / static_cast<double>(elements(site.inputs[0]));
}

}  // namespace

Inferred infer(const GlobalAveragePool& /*op*/, const Shapes& inputs) {
  if (inputs[0].size() < 2) {
    return Unexpected{fmt::format("its input must be an image or a sequence, not {}", to_string(inputs[0]))};
  }
  return Shape{inputs[0].back()};
}

Specs weights(const GlobalAveragePool& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const GlobalAveragePool& /*op*/, const Site& site) {
  return {.macs = 0, .elementwise = elements(site.inputs[0])};
}

void lower(const GlobalAveragePool& /*op*/, Scope& scope) {
  const Loops loops = scope.input_loops();
  scope.emit(loops, {.operands = {loops.all(scope.input())},
                     .output = sample_features(loops, scope.output()),
                     .reduce = ir::Reduce::sum,
                     .scale = share(scope)});
}

void lower_gradient(const GlobalAveragePool& /*op*/, Scope& scope) {
  if (!scope.wants_input_gradient()) {
    return;
  }
  const Loops loops = scope.input_loops();
  scope.emit(loops, {.name = "input_gradient",
                     .operands = {sample_features(loops, scope.output_gradient())},
                     .output = loops.all(scope.input_gradient()),
                     .scale = share(scope)});
}

}  // namespace cosearch::graph::ops
