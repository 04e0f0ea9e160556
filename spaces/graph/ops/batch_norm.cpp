#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/normalization.hpp"
#include "spaces/graph/ops/op.hpp"

#include <utility>
#include <variant>

namespace cosearch::graph::ops {
namespace {

/// Running statistics: y = x * factor + offset, both per channel.
void lower_folded(const BatchNorm& op, Scope& scope) {
  const std::vector<std::int64_t> shape = {scope.site().output.back()};
  const Loops channels{{"c"}, shape};
  const auto channel_step = [&](const std::string& name, ir::Combine combine,
                                std::vector<std::variant<Element, double>> operands) {
    const int tensor = scope.make(name, shape, ir::TensorKind::accumulator);
    scope.emit(channels,
               {.name = name, .combine = combine, .operands = std::move(operands), .output = channels.all(tensor)});
    return channels.all(tensor);
  };
  const Element stabilized =
      channel_step("stabilized", ir::Combine::add, {channels.all(scope.weight("running_variance")), op.epsilon});
  const Element rsqrt = channel_step("rsqrt", ir::Combine::rsqrt, {stabilized});
  const Element factor = channel_step("factor", ir::Combine::mul, {rsqrt, channels.all(scope.weight("scale"))});
  const Element mean = channel_step("mean", ir::Combine::mul, {channels.all(scope.weight("running_mean")), factor});
  const Element offset = channel_step("offset", ir::Combine::sub, {channels.all(scope.weight("shift")), mean});

  const Loops loops = scope.output_loops();
  const int scaled = scope.make("scaled", ir::TensorKind::accumulator);
  scope.emit(loops, {.name = "scaled",
                     .combine = ir::Combine::mul,
                     .operands = {loops.all(scope.input()), loops.features(factor.tensor)},
                     .output = loops.all(scaled)});
  scope.emit(loops, {.combine = ir::Combine::add,
                     .operands = {loops.all(scaled), loops.features(offset.tensor)},
                     .output = loops.all(scope.output())});
}

/// updated = (1 - momentum) * running + momentum * batch
void update_running(const std::string& state, int batch_statistic, double momentum, Scope& scope) {
  const Loops channels{{"c"}, {scope.site().output.back()}};
  const int updated = scope.make_updated_state(state);
  scope.emit(channels, {.name = state + ".keep",
                        .operands = {channels.all(scope.weight(state))},
                        .output = channels.all(updated),
                        .scale = 1.0 - momentum});
  scope.emit(channels, {.name = state + ".updated",
                        .operands = {channels.all(batch_statistic)},
                        .output = channels.all(Target{updated, true}),
                        .scale = momentum});
}

}  // namespace

Inferred infer(const BatchNorm& /*op*/, const Shapes& inputs) { return inputs[0]; }

Specs weights(const BatchNorm& /*op*/, const Site& site) {
  const WeightAxis channels = part_axis(site);
  return {feature_vector(site, "scale", Initializer::ones, channels),
          feature_vector(site, "shift", Initializer::zeros, channels),
          feature_vector(site, "running_mean", Initializer::zeros, channels, false),
          feature_vector(site, "running_variance", Initializer::ones, channels, false)};
}

Arithmetic count(const BatchNorm& /*op*/, const Site& site) {
  // Five passes over the channels fold statistics, scale and shift into a factor and an offset.
  return {.macs = 0, .elementwise = 2 * elements(site.output) + 5 * site.output.back()};
}

void lower(const BatchNorm& op, Scope& scope) {
  if (!scope.training()) {
    lower_folded(op, scope);
    return;
  }
  const Normalization normalization{Statistics::of_features, scope};
  normalization.lower(op.epsilon, scope);
  update_running("running_mean", scope.made("mean"), op.momentum, scope);
  update_running("running_variance", scope.made("variance"), op.momentum, scope);
}

void lower_gradient(const BatchNorm& /*op*/, Scope& scope) {
  const Normalization normalization{Statistics::of_features, scope};
  normalization.lower_weight_gradients(scope);
  if (!scope.wants_input_gradient()) {
    return;
  }
  // The scale is the same for all that a statistic covers, so the sums of the weight gradients serve here as well.
  const std::vector<std::int64_t> shape = normalization.statistics_shape();
  const int mean = scope.make("shift.gradient.mean", shape, ir::TensorKind::gradient);
  const int projection = scope.make("scale.gradient.mean", shape, ir::TensorKind::gradient);
  const int factor = scope.make("factor", shape, ir::TensorKind::gradient);
  const Loops channels{{"c"}, shape};
  const auto scaled_copy = [&](const std::string& step, int from, int to) {
    scope.emit(
        channels,
        {.name = step, .operands = {channels.all(from)}, .output = channels.all(to), .scale = normalization.share()});
  };
  scaled_copy("shift.gradient.mean", scope.weight_gradients().at("shift"), mean);
  scaled_copy("scale.gradient.mean", scope.weight_gradients().at("scale"), projection);
  scope.emit(channels, {.name = "factor",
                        .combine = ir::Combine::mul,
                        .operands = {channels.all(scope.weight("scale")), channels.all(scope.made("rsqrt"))},
                        .output = channels.all(factor)});
  normalization.lower_input_gradient(scope.output_gradient(), mean, projection, factor, scope);
}

}  // namespace cosearch::graph::ops
