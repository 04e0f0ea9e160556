#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/normalization.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {

Inferred infer(const LayerNorm& /*op*/, const Shapes& inputs) { return inputs[0]; }

Specs weights(const LayerNorm& /*op*/, const Site& site) {
  const WeightAxis features = part_axis(site);
  return {feature_vector(site, "scale", Initializer::ones, features),
          feature_vector(site, "shift", Initializer::zeros, features)};
}

Arithmetic count(const LayerNorm& /*op*/, const Site& site) {
  const std::int64_t outputs = elements(site.output);
  // Mean, centre, square, variance, normalize, scale, shift; epsilon and rsqrt once per position.
  return {.macs = 0, .elementwise = 7 * outputs + 2 * (outputs / site.output.back())};
}

void lower(const LayerNorm& op, Scope& scope) {
  const Normalization normalization{Statistics::of_positions, scope};
  normalization.lower(op.epsilon, scope);
}

void lower_gradient(const LayerNorm& /*op*/, Scope& scope) {
  const Normalization normalization{Statistics::of_positions, scope};
  const Loops loops = scope.output_loops();
  normalization.lower_weight_gradients(scope);
  if (!scope.wants_input_gradient()) {
    return;
  }
  // What arrives at the normalized values, its mean, and the mean of its product with them.
  const int upstream = scope.make("normalized.gradient", ir::TensorKind::gradient);
  const int mean = scope.make("normalized.gradient.mean", normalization.statistics_shape(), ir::TensorKind::gradient);
  const int projection =
      scope.make("normalized.gradient.projection", normalization.statistics_shape(), ir::TensorKind::gradient);
  const double share = normalization.share();
  scope.emit(loops, {.name = "normalized.gradient",
                     .combine = ir::Combine::mul,
                     .operands = {loops.all(scope.output_gradient()), loops.features(scope.weight("scale"))},
                     .output = loops.all(upstream)});
  scope.emit(loops, {.name = "normalized.gradient.mean",
                     .operands = {loops.all(upstream)},
                     .output = loops.positions(mean),
                     .reduce = ir::Reduce::sum,
                     .scale = share});
  scope.emit(loops, {.name = "normalized.gradient.projection",
                     .combine = ir::Combine::mul,
                     .operands = {loops.all(upstream), loops.all(scope.made("normalized"))},
                     .output = loops.positions(projection),
                     .reduce = ir::Reduce::sum,
                     .scale = share});
  normalization.lower_input_gradient(upstream, mean, projection, scope.made("rsqrt"), scope);
}

}  // namespace cosearch::graph::ops
