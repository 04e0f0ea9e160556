#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

std::int64_t positions(const Geometry& g) { return graph::elements(g.input()) / g.input().back(); }

}  // namespace

Needs needs(const graph::GlobalAveragePool& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) {
  return {};
}

void forward(const graph::GlobalAveragePool& /*op*/, const Geometry& geometry, const Forward& call) {
  kernels::global_average_pool(call.samples, positions(geometry), geometry.input().back(), call.x[0], call.y);
}

void backward(const graph::GlobalAveragePool& /*op*/, const Geometry& geometry, const Backward& call) {
  if (call.dx[0] != nullptr) {
    kernels::global_average_pool_backward(call.samples, positions(geometry), geometry.input().back(), call.dy,
                                          call.dx[0]);
  }
}

}  // namespace cosearch::ops
