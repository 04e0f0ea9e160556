#include <fmt/format.h>

#include <string>
#include <utility>

#include "spaces/graph/ops/moe_ffn_lowering.hpp"

namespace cosearch::graph::ops {
namespace {

bool is_conditioned(const MoeFfn& op) { return op.routing == MoeRouting::conditioned; }

/// A matrix that decays.
WeightSpec matrix(const Site& site, const std::string& name, std::vector<WeightAxis> axes, std::int64_t fan_in,
                  std::int64_t fan_out) {
  WeightSpec spec;
  spec.name = site.name + "." + name;
  spec.axes = std::move(axes);
  spec.initializer = Initializer::xavier_uniform;
  spec.fan_in = fan_in;
  spec.fan_out = fan_out;
  return spec;
}

/// Biases of the experts, or of the task's map.
WeightSpec bias(const Site& site, const std::string& name, std::vector<WeightAxis> axes) {
  WeightSpec spec;
  spec.name = site.name + "." + name;
  spec.axes = std::move(axes);
  spec.fan_in = spec.fan_out = spec.elements();
  spec.decay = false;
  return spec;
}

}  // namespace

std::string router_name(const MoeFfn& op) {
  return op.tasks > 1 && !is_conditioned(op) ? fmt::format("router_{}", op.task) : "router";
}

Inferred infer(const MoeFfn& op, const Shapes& inputs) {
  if (const auto reason = not_a_sequence(inputs[0])) {
    return Unexpected{*reason};
  }
  if (op.top_k > op.experts) {
    return Unexpected{fmt::format("top_k = {} is more than its {} experts", op.top_k, op.experts)};
  }
  if (op.task >= op.tasks) {
    return Unexpected{
        fmt::format("task = {} is not one of its {} tasks; allowed: 0 to {}", op.task, op.tasks, op.tasks - 1)};
  }
  const std::int64_t tokens = inputs[0][0];
  const std::int64_t features = inputs[0][1];
  // The last two are what gathers of tokens and the choice of experts run over.
  if (!bounded_product({4, tokens, op.top_k, features, op.hidden}) ||
      !bounded_product({4, tokens, features, op.experts}) || !bounded_product({4, tokens, tokens, features}) ||
      !bounded_product({4, tokens, op.experts, op.top_k})) {
    return Unexpected{too_large("multiply-accumulates or places of tokens")};
  }
  if (!bounded_product({4, op.experts, features, op.hidden}) ||
      !bounded_product({4, op.embedding, op.embedding + op.tasks + op.experts})) {
    return Unexpected{too_large("weights")};
  }
  return inputs[0];
}

Specs weights(const MoeFfn& op, const Site& site) {
  const std::int64_t features = site.output[1];
  const std::int64_t embedding = is_conditioned(op) ? op.embedding : 0;
  WeightAxis router_inputs = part_axis(site);
  if (embedding > 0) {
    router_inputs.push_back({{embedding, SliceRule::leading, {}}});
  }
  const WeightAxis experts = leading_axis({op.experts});
  const WeightAxis hidden = leading_axis({op.hidden});
  const WeightAxis outputs = leading_axis({features});
  Specs specs = {
      matrix(site, router_name(op), {router_inputs, experts}, features + embedding, op.experts),
      matrix(site, "w1", {experts, part_axis(site), hidden}, features, op.hidden), bias(site, "b1", {experts, hidden}),
      matrix(site, "w2", {experts, hidden, outputs}, op.hidden, features), bias(site, "b2", {experts, outputs})};
  if (embedding > 0) {
    const WeightAxis width = leading_axis({embedding});
    specs.push_back(matrix(site, "task_w1", {leading_axis({op.tasks}), width}, op.tasks, embedding));
    specs.push_back(matrix(site, "task_w2", {width, width}, embedding, embedding));
    specs.push_back(bias(site, "task_b2", {width}));
  }
  return specs;
}

Arithmetic count(const MoeFfn& op, const Site& site) {
  const std::int64_t tokens = site.output[0];
  const std::int64_t features = site.output[1];
  const std::int64_t choices = tokens * op.top_k;
  const std::int64_t shares = tokens * op.experts;
  Arithmetic sum{
      .macs = shares * features + 2 * choices * features * op.hidden,
      // Softmax; top_k comparisons per share; queue, share; bias and gelu; gather, bias, weighting, sum.
      .elementwise = 4 * shares + shares * op.top_k + 2 * choices + 2 * choices * op.hidden + 4 * choices * features};
  if (is_conditioned(op)) {
    sum.macs += op.embedding * (op.embedding + op.experts);
    // relu, bias, relu of the task's map; its part of the logits.
    sum.elementwise += 3 * op.embedding + shares;
  }
  return sum;
}

}  // namespace cosearch::graph::ops
