#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

kernels::PoolShape pool_shape(const graph::Pool2d& op, const Geometry& g, std::int64_t samples) {
  return {.batch = samples,
          .height = g.input()[0],
          .width = g.input()[1],
          .channels = g.input()[2],
          .out_height = g.output[0],
          .out_width = g.output[1],
          .kernel = op.kernel,
          .stride = op.stride,
          .pad_top = op.padding.top,
          .pad_left = op.padding.left};
}

}  // namespace

Needs needs(const graph::Pool2d& op, const Geometry& /*geometry*/, std::int64_t /*samples*/) {
  return {.inputs_in_backward = op.kind == graph::PoolKind::max};
}

void forward(const graph::Pool2d& op, const Geometry& geometry, const Forward& call) {
  const kernels::PoolShape shape = pool_shape(op, geometry, call.samples);
  if (op.kind == graph::PoolKind::max) {
    kernels::max_pool(shape, call.x[0], call.y);
  } else {
    kernels::average_pool(shape, call.x[0], call.y);
  }
}

void backward(const graph::Pool2d& op, const Geometry& geometry, const Backward& call) {
  if (call.dx[0] == nullptr) {
    return;
  }
  const kernels::PoolShape shape = pool_shape(op, geometry, call.samples);
  if (op.kind == graph::PoolKind::max) {
    kernels::max_pool_backward(shape, call.x[0], call.dy, call.dx[0]);
  } else {
    kernels::average_pool_backward(shape, call.dy, call.dx[0]);
  }
}

}  // namespace cosearch::ops
