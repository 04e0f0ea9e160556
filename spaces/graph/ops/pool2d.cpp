#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// n, oy, ox, c, ky, kx.
struct Windows {
  Loops loops;
  std::vector<Index> input;
  std::vector<Index> output;
  bool cover_input = true;
};

Windows make_windows(const Pool2d& op, const Scope& scope) {
  const Shape& input = scope.site().inputs[0];
  const Shape& output = scope.site().output;
  Windows windows;
  const Index n = windows.loops.add("n", scope.batch());
  const Index oy = windows.loops.add("oy", output[0]);
  const Index ox = windows.loops.add("ox", output[1]);
  const Index c = windows.loops.add("c", output[2]);
  const Index ky = windows.loops.add("ky", op.kernel);
  const Index kx = windows.loops.add("kx", op.kernel);
  windows.input = {n, op.stride * oy + ky - op.padding.top, op.stride * ox + kx - op.padding.left, c};
  windows.output = {n, oy, ox, c};
  windows.cover_input = windows_cover(input[0], op.padding.top, op.kernel, op.stride, output[0]) &&
                        windows_cover(input[1], op.padding.left, op.kernel, op.stride, output[1]);
  return windows;
}

}  // namespace

Inferred infer(const Pool2d& op, const Shapes& inputs) {
  const Shape& input = inputs[0];
  if (const auto reason = not_an_image(input)) {
    return Unexpected{*reason};
  }
  const Padding& pad = op.padding;
  // Otherwise a window may see nothing but padding, and a maximum over nothing is -infinity.
  if (std::max({pad.top, pad.left, pad.bottom, pad.right}) >= op.kernel) {
    return Unexpected{fmt::format("padding must be smaller than the kernel, which is {}", op.kernel)};
  }
  const std::int64_t height = window_positions(input[0], pad.top, pad.bottom, op.kernel, op.stride);
  const std::int64_t width = window_positions(input[1], pad.left, pad.right, op.kernel, op.stride);
  if (height < 1 || width < 1) {
    return Unexpected{
        fmt::format("a {0} x {0} window does not fit into {1} with its padding", op.kernel, to_string(input))};
  }
  if (!bounded_product({height, width, input[2], op.kernel, op.kernel})) {
    return Unexpected{too_large("operations")};
  }
  return Shape{height, width, input[2]};
}

Specs weights(const Pool2d& /*op*/, const Site& /*site*/) { return {}; }

Arithmetic count(const Pool2d& op, const Site& site) {
  return {.macs = 0, .elementwise = elements(site.output) * op.kernel * op.kernel};
}

void lower(const Pool2d& op, Scope& scope) {
  const Windows windows = make_windows(op, scope);
  const bool average = op.kind == PoolKind::average;
  scope.emit(windows.loops, {.operands = {Element{scope.input(), windows.input}},
                             .output = {scope.output(), windows.output},
                             .reduce = average ? ir::Reduce::sum : ir::Reduce::max,
                             .scale = average ? 1.0 / static_cast<double>(op.kernel * op.kernel) : 1.0,
                             .padding = average ? 0.0 : -std::numeric_limits<double>::infinity()});
}

void lower_gradient(const Pool2d& op, Scope& scope) {
  if (!scope.wants_input_gradient()) {
    return;
  }
  const Windows windows = make_windows(op, scope);
  const Target target = scope.input_gradient(0, windows.cover_input);
  const Element gradient{scope.output_gradient(), windows.output};
  const Element input_gradient{target.tensor, windows.input, target.accumulate};
  if (op.kind == PoolKind::average) {
    scope.emit(windows.loops, {.name = "input_gradient",
                               .operands = {gradient},
                               .output = input_gradient,
                               .reduce = ir::Reduce::sum,
                               .scale = 1.0 / static_cast<double>(op.kernel * op.kernel)});
  } else {
    scope.emit(windows.loops,
               {.name = "input_gradient",
                .combine = ir::Combine::equal_select,
                .operands = {Element{scope.input(), windows.input}, Element{scope.output(), windows.output}, gradient},
                .output = input_gradient,
                .reduce = ir::Reduce::sum,
                .padding = -std::numeric_limits<double>::infinity()});
  }
}

}  // namespace cosearch::graph::ops
