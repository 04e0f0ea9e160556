#include <fmt/format.h>

#include <algorithm>

#include "spaces/graph/ops/fields.hpp"
#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// Calls f(i, loops over the batch of input i, element): `element(tensor)` is where a tensor of the output's shape
/// holds the element of that input.
template <class F>
void for_each_input(const Scope& scope, const F& f) {
  std::int64_t first = 0;
  for (std::size_t i = 0; i < scope.site().inputs.size(); ++i) {
    const Loops loops = scope.input_loops(i);
    f(i, loops, [&loops, first](int tensor) {
      Element element = loops.all(tensor);
      element.axes.back() = element.axes.back() + first;
      return element;
    });
    first += scope.site().inputs[i].back();
  }
}

}  // namespace

Inferred infer(const Concat& /*op*/, const Shapes& inputs) {
  Shape shape = inputs[0];
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].size() != shape.size() || !std::equal(shape.begin(), shape.end() - 1, inputs[i].begin())) {
      return Unexpected{fmt::format("its inputs must agree in all axes but the last, not {} and {}",
                                    to_string(inputs[0]), to_string(inputs[i]))};
    }
    shape.back() += inputs[i].back();
  }
  if (shape.back() > kMaxField) {
    return Unexpected{fmt::format("its inputs have {} features together; allowed: up to {}", shape.back(), kMaxField)};
  }
  return shape;
}

Specs weights(const Concat& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const Concat& /*op*/, const Site& site) { return {.macs = 0, .elementwise = elements(site.output)}; }

void lower(const Concat& /*op*/, Scope& scope) {
  for_each_input(scope, [&](std::size_t i, const Loops& loops, const auto& element) {
    const bool last = i + 1 == scope.site().inputs.size();
    scope.emit(loops, {.name = last ? "" : fmt::format("part.{}", i),
                       .operands = {loops.all(scope.input(i))},
                       .output = element(scope.output())});
  });
}

void lower_gradient(const Concat& /*op*/, Scope& scope) {
  for_each_input(scope, [&](std::size_t i, const Loops& loops, const auto& element) {
    if (scope.wants_input_gradient(i)) {
      scope.emit(loops, {.name = fmt::format("input_gradient.{}", i),
                         .operands = {element(scope.output_gradient())},
                         .output = loops.all(scope.input_gradient(i))});
    }
  });
}

}  // namespace cosearch::graph::ops
