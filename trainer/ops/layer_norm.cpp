#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

std::int64_t rows(const Geometry& g, std::int64_t samples) {
  return samples * graph::elements(g.output) / g.output.back();
}

}  // namespace

Needs needs(const graph::LayerNorm& /*op*/, const Geometry& geometry, std::int64_t samples) {
  // The kernel computes dx beside dscale and dshift; scratch takes it when nobody wants it.
  return {.saved = 2 * rows(geometry, 1),
          .scratch = samples * graph::elements(geometry.output),
          .inputs_in_backward = true};
}

void forward(const graph::LayerNorm& op, const Geometry& geometry, const Forward& call) {
  kernels::layer_norm(rows(geometry, call.samples), geometry.output.back(), static_cast<float>(op.epsilon), call.x[0],
                      call.weights[0], call.weights[1], call.y, call.saved);
}

void backward(const graph::LayerNorm& /*op*/, const Geometry& geometry, const Backward& call) {
  kernels::layer_norm_backward(rows(geometry, call.samples), geometry.output.back(), call.x[0], call.weights[0],
                               call.saved, call.dy, call.dx[0] != nullptr ? call.dx[0] : call.scratch, call.dweights[0],
                               call.dweights[1]);
}

}  // namespace cosearch::ops
