#include <algorithm>

#include "trainer/ops/ops.hpp"

namespace cosearch::ops {

Needs needs(const graph::Add& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) { return {}; }

void forward(const graph::Add& /*op*/, const Geometry& geometry, const Forward& call) {
  kernels::add(call.samples * graph::elements(geometry.output), call.x[0], call.x[1], call.y);
}

void backward(const graph::Add& /*op*/, const Geometry& geometry, const Backward& call) {
  for (float* dx : call.dx) {
    if (dx != nullptr) {
      std::copy_n(call.dy, call.samples * graph::elements(geometry.output), dx);
    }
  }
}

}  // namespace cosearch::ops
