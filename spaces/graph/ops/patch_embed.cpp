#include <fmt/format.h>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// n, gy, gx, e, ky, kx, c: patch, output feature, pixel in the patch, channel.
Contraction contraction(const PatchEmbed& op, const Scope& scope) {
  const Shape& input = scope.site().inputs[0];
  const std::int64_t rows = (input[0] + 2 * op.padding) / op.patch;
  const std::int64_t columns = (input[1] + 2 * op.padding) / op.patch;
  Contraction result;
  Loops& loops = result.loops;
  const Index n = loops.add("n", scope.batch());
  const Index gy = loops.add("gy", rows);
  const Index gx = loops.add("gx", columns);
  const Index e = loops.add("e", op.embed_dim);
  const Index ky = loops.add("ky", op.patch);
  const Index kx = loops.add("kx", op.patch);
  const Index c = loops.add("c", input[2]);
  result.input = {n, op.patch * gy + ky - op.padding, op.patch * gx + kx - op.padding, c};
  result.weight = {ky, kx, c, e};
  result.output = {n, columns * gy + gx, e};
  result.bias = true;
  return result;
}

}  // namespace

Inferred infer(const PatchEmbed& op, const Shapes& inputs) {
  const Shape& input = inputs[0];
  if (const auto reason = not_an_image(input)) {
    return Unexpected{*reason};
  }
  const std::int64_t height = input[0] + 2 * op.padding;
  const std::int64_t width = input[1] + 2 * op.padding;
  if (height % op.patch != 0 || width % op.patch != 0) {
    return Unexpected{fmt::format("the padded image of {} x {} must be a whole number of patches of {} x {}", height,
                                  width, op.patch, op.patch)};
  }
  if (!bounded_product({height, width, input[2], op.embed_dim})) {
    return Unexpected{too_large("multiply-accumulates")};
  }
  return Shape{(height / op.patch) * (width / op.patch), op.embed_dim};
}

Specs weights(const PatchEmbed& op, const Site& site) {
  WeightSpec weight;
  weight.name = site.name + ".weight";
  const WeightAxis pixels{{{op.patch, SliceRule::area, {}}}};
  weight.axes = {pixels, pixels, part_axis(site), leading_axis({op.embed_dim})};
  weight.initializer = Initializer::xavier_uniform;
  weight.fan_in = op.patch * op.patch * site.inputs[0][2];
  weight.fan_out = op.embed_dim;
  return {weight, feature_vector(site, "bias", Initializer::zeros, leading_axis({op.embed_dim}))};
}

Arithmetic count(const PatchEmbed& op, const Site& site) {
  const std::int64_t outputs = elements(site.output);
  return {.macs = outputs * op.patch * op.patch * site.inputs[0][2], .elementwise = outputs};
}

void lower(const PatchEmbed& op, Scope& scope) { lower_contraction(contraction(op, scope), scope); }

void lower_gradient(const PatchEmbed& op, Scope& scope) { lower_contraction_gradient(contraction(op, scope), scope); }

}  // namespace cosearch::graph::ops
