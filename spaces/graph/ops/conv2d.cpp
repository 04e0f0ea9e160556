#include <fmt/format.h>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// n, g, oy, ox, k, ky, kx, c: group, output channel within it, kernel, input channel within the group. A dense
/// convolution has no loop g, a depthwise one neither k nor c.
Contraction contraction(const Conv2d& op, const Scope& scope) {
  const Shape& input = scope.site().inputs[0];
  const Shape& output = scope.site().output;
  const std::int64_t group_inputs = input[2] / op.groups;
  const std::int64_t group_outputs = op.out_channels / op.groups;
  Contraction result;
  Loops& loops = result.loops;
  const Index n = loops.add("n", scope.batch());
  const Index g = loops.add_unless_single("g", op.groups);
  const Index oy = loops.add("oy", output[0]);
  const Index ox = loops.add("ox", output[1]);
  const Index k = op.groups == 1 ? loops.add("k", group_outputs) : loops.add_unless_single("k", group_outputs);
  const Index ky = loops.add("ky", op.kernel_h);
  const Index kx = loops.add("kx", op.kernel_w);
  const Index c = op.groups == 1 ? loops.add("c", group_inputs) : loops.add_unless_single("c", group_inputs);
  const Index channel = group_outputs * g + k;
  result.input = {n, op.stride * oy + ky - op.padding.top, op.stride * ox + kx - op.padding.left, group_inputs * g + c};
  result.weight = {ky, kx, c, channel};
  result.output = {n, oy, ox, channel};
  result.bias = op.bias;
  result.covers_input = windows_cover(input[0], op.padding.top, op.kernel_h, op.stride, output[0]) &&
                        windows_cover(input[1], op.padding.left, op.kernel_w, op.stride, output[1]);
  return result;
}

}  // namespace

Inferred infer(const Conv2d& op, const Shapes& inputs) {
  const Shape& input = inputs[0];
  if (const auto reason = not_an_image(input)) {
    return Unexpected{*reason};
  }
  const std::int64_t channels = input[2];
  if (channels % op.groups != 0 || op.out_channels % op.groups != 0) {
    return Unexpected{fmt::format("groups = {} must divide the {} input channels and the {} output channels", op.groups,
                                  channels, op.out_channels)};
  }
  const std::int64_t height = window_positions(input[0], op.padding.top, op.padding.bottom, op.kernel_h, op.stride);
  const std::int64_t width = window_positions(input[1], op.padding.left, op.padding.right, op.kernel_w, op.stride);
  if (height < 1 || width < 1) {
    return Unexpected{fmt::format(
        "a {} x {} kernel does not fit into {} with padding (top {}, left {}, bottom {}, right {})", op.kernel_h,
        op.kernel_w, to_string(input), op.padding.top, op.padding.left, op.padding.bottom, op.padding.right)};
  }
  if (!bounded_product({height, width, op.out_channels, op.kernel_h, op.kernel_w, channels / op.groups})) {
    return Unexpected{too_large("multiply-accumulates")};
  }
  return Shape{height, width, op.out_channels};
}

Specs weights(const Conv2d& op, const Site& site) {
  const std::int64_t group_inputs = site.inputs[0][2] / op.groups;
  const std::int64_t group_outputs = op.out_channels / op.groups;
  // Output channels are ordered by group, so a depthwise subnet keeps the first channels and a dense one too. Both
  // have the same two factors: a layer with one channel is dense and depthwise at once.
  const bool depthwise = op.groups == site.inputs[0][2];
  const WeightAxis inputs = op.groups == 1 ? part_axis(site) : leading_axis({group_inputs});
  const WeightAxis outputs = depthwise ? part_axis(site, group_outputs) : leading_axis({op.groups, group_outputs});
  WeightSpec weight;
  weight.name = site.name + ".weight";
  weight.axes = {kernel_axis(op.kernel_h), kernel_axis(op.kernel_w), inputs, outputs};
  weight.initializer = Initializer::he_normal;
  weight.fan_in = op.kernel_h * op.kernel_w * group_inputs;
  weight.fan_out = op.kernel_h * op.kernel_w * group_outputs;
  Specs specs = {weight};
  if (op.bias) {
    specs.push_back(feature_vector(site, "bias", Initializer::zeros, outputs));
  }
  return specs;
}

Arithmetic count(const Conv2d& op, const Site& site) {
  const std::int64_t outputs = elements(site.output);
  return {.macs = outputs * op.kernel_h * op.kernel_w * (site.inputs[0][2] / op.groups),
          .elementwise = op.bias ? outputs : 0};
}

void lower(const Conv2d& op, Scope& scope) { lower_contraction(contraction(op, scope), scope); }

void lower_gradient(const Conv2d& op, Scope& scope) { lower_contraction_gradient(contraction(op, scope), scope); }

}  // namespace cosearch::graph::ops
