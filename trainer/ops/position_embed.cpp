#include <algorithm>

#include "trainer/ops/ops.hpp"

namespace cosearch::ops {

Needs needs(const graph::PositionEmbed& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) { return {}; }

void forward(const graph::PositionEmbed& /*op*/, const Geometry& geometry, const Forward& call) {
  const std::int64_t count = graph::elements(geometry.output);
  for (std::int64_t n = 0; n < call.samples; ++n) {
    kernels::add(count, call.x[0] + n * count, call.weights[0], call.y + n * count);
  }
}

void backward(const graph::PositionEmbed& /*op*/, const Geometry& geometry, const Backward& call) {
  const std::int64_t count = graph::elements(geometry.output);
  kernels::bias_backward(call.samples, count, call.dy, call.dweights[0]);
  if (call.dx[0] != nullptr) {
    std::copy_n(call.dy, call.samples * count, call.dx[0]);
  }
}

}  // namespace cosearch::ops
