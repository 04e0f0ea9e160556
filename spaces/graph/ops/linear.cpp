#include <fmt/format.h>

#include "spaces/graph/ops/lowering.hpp"
#include "spaces/graph/ops/op.hpp"

namespace cosearch::graph::ops {
namespace {

/// n, the input's positions, k, c.
Contraction contraction(const Linear& op, const Scope& scope) {
  const Shape& input = scope.site().inputs[0];
  Contraction result;
  Loops& loops = result.loops;
  std::vector<Index> position = {loops.add("n", scope.batch())};
  const std::vector<std::string> names =
      input.size() == 3 ? std::vector<std::string>{"y", "x"} : std::vector<std::string>{"t"};
  for (std::size_t i = 0; i + 1 < input.size(); ++i) {
    position.push_back(loops.add(names[i], input[i]));
  }
  const Index k = loops.add("k", scope.site().output.back());
  const Index c = loops.add("c", input.back());
  result.input = result.output = position;
  result.input.push_back(c);
  result.weight = {c, k};
  result.output.push_back(k);
  result.bias = op.bias;
  return result;
}

}  // namespace

Inferred infer(const Linear& op, const Shapes& inputs) {
  const std::int64_t in = inputs[0].back();
  if (op.out_factors.empty()) {
    return Unexpected{std::string("out_factors is empty; allowed: the output features or factors of them")};
  }
  const auto out = bounded_product(op.out_factors);
  if (!out || !bounded_product({elements(inputs[0]), *out})) {
    return Unexpected{too_large("multiply-accumulates")};
  }
  if (!op.in_factors.empty() && bounded_product(op.in_factors) != in) {
    return Unexpected{
        fmt::format("the product of in_factors {} must be the input's {} features", to_string(op.in_factors), in)};
  }
  Shape shape = inputs[0];
  shape.back() = *out;
  return shape;
}

Specs weights(const Linear& op, const Site& site) {
  const std::int64_t in = site.inputs[0].back();
  WeightSpec weight;
  weight.name = site.name + ".weight";
  weight.axes = {op.in_factors.empty() ? part_axis(site) : leading_axis(op.in_factors), leading_axis(op.out_factors)};
  weight.initializer = Initializer::xavier_uniform;
  weight.fan_in = in;
  weight.fan_out = site.output.back();
  Specs specs = {weight};
  if (op.bias) {
    specs.push_back(feature_vector(site, "bias", Initializer::zeros, leading_axis(op.out_factors)));
  }
  return specs;
}

Arithmetic count(const Linear& op, const Site& site) {
  const std::int64_t outputs = elements(site.output);
  return {.macs = outputs * site.inputs[0].back(), .elementwise = op.bias ? outputs : 0};
}

void lower(const Linear& op, Scope& scope) { lower_contraction(contraction(op, scope), scope); }

void lower_gradient(const Linear& op, Scope& scope) { lower_contraction_gradient(contraction(op, scope), scope); }

}  // namespace cosearch::graph::ops
