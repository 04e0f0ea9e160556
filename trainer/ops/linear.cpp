#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

kernels::LinearShape linear_shape(const Geometry& g, std::int64_t samples) {
  return {.rows = samples * graph::elements(g.output) / g.output.back(),
          .inputs = g.input().back(),
          .outputs = g.output.back(),
          .samples = samples};
}

}  // namespace

Needs needs(const graph::Linear& /*op*/, const Geometry& geometry, std::int64_t samples) {
  const kernels::LinearShape shape = linear_shape(geometry, samples);
  return {.scratch = geometry.dense->linear_scratch(shape, geometry.use),
          .packed = geometry.dense->linear_packed(shape, geometry.use),
          .inputs_in_backward = true};
}

void pack(const graph::Linear& /*op*/, const Geometry& geometry, const float* weights, float* packed) {
  geometry.dense->linear_pack(linear_shape(geometry, 1), geometry.use, weights, packed);
}

void forward(const graph::Linear& op, const Geometry& geometry, const Forward& call) {
  geometry.dense->linear_forward(linear_shape(geometry, call.samples), call.x[0], call.weights[0], call.packed,
                                 op.bias ? call.weights[1] : nullptr, call.y, call.scratch);
}

void backward(const graph::Linear& op, const Geometry& geometry, const Backward& call) {
  const kernels::LinearShape shape = linear_shape(geometry, call.samples);
  geometry.dense->linear_backward(shape, call.x[0], call.dy, call.weights[0], call.packed, call.dx[0], call.dweights[0],
                                  call.scratch);
  if (op.bias) {
    kernels::bias_backward(shape.rows, shape.outputs, call.dy, call.dweights[1]);
  }
}

}  // namespace cosearch::ops
