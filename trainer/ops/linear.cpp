#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

std::int64_t rows(const Geometry& g, std::int64_t samples) {
  return samples * graph::elements(g.output) / g.output.back();
}

}  // namespace

Needs needs(const graph::Linear& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) {
  return {.inputs_in_backward = true};
}

void forward(const graph::Linear& op, const Geometry& geometry, const Forward& call) {
  const std::int64_t m = rows(geometry, call.samples);
  const std::int64_t n = geometry.output.back();
  const std::int64_t k = geometry.input.back();
  kernels::gemm(false, false, m, n, k, 1.0F, call.x[0], k, call.weights[0], n, 0.0F, call.y, n);
  if (op.bias) {
    kernels::add_bias(m, n, call.weights[1], call.y);
  }
}

void backward(const graph::Linear& op, const Geometry& geometry, const Backward& call) {
  const std::int64_t m = rows(geometry, call.samples);
  const std::int64_t n = geometry.output.back();
  const std::int64_t k = geometry.input.back();
  kernels::gemm(true, false, k, n, m, 1.0F, call.x[0], k, call.dy, n, 0.0F, call.dweights[0], n);
  if (op.bias) {
    kernels::bias_backward(m, n, call.dy, call.dweights[1]);
  }
  if (call.dx[0] != nullptr) {
    kernels::gemm(false, true, m, k, n, 1.0F, call.dy, n, call.weights[0], n, 0.0F, call.dx[0], k);
  }
}

}  // namespace cosearch::ops
