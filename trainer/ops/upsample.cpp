#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

kernels::UpsampleShape upsample_shape(const graph::Upsample& op, const Geometry& g, std::int64_t samples) {
  return {
      .batch = samples, .height = g.input()[0], .width = g.input()[1], .channels = g.input()[2], .factor = op.factor};
}

}  // namespace

Needs needs(const graph::Upsample& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) { return {}; }

void forward(const graph::Upsample& op, const Geometry& geometry, const Forward& call) {
  kernels::upsample(upsample_shape(op, geometry, call.samples), call.x[0], call.y);
}

void backward(const graph::Upsample& op, const Geometry& geometry, const Backward& call) {
  if (call.dx[0] != nullptr) {
    kernels::upsample_backward(upsample_shape(op, geometry, call.samples), call.dy, call.dx[0]);
  }
}

}  // namespace cosearch::ops
