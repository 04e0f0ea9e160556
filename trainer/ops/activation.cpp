#include "spaces/base/check.hpp"
#include "trainer/ops/ops.hpp"

namespace cosearch::ops {

kernels::Activation activation_of(graph::ActivationKind kind) {
  switch (kind) {
    case graph::ActivationKind::relu:
      return kernels::Activation::relu;
    case graph::ActivationKind::relu6:
      return kernels::Activation::relu6;
    case graph::ActivationKind::hard_swish:
      return kernels::Activation::hard_swish;
    case graph::ActivationKind::gelu:
      return kernels::Activation::gelu;
  }
  COSEARCH_CHECK(false, "unknown activation");
}

Needs needs(const graph::Activation& /*op*/, const Geometry& /*geometry*/, std::int64_t /*samples*/) {
  return {.inputs_in_backward = true};
}

void forward(const graph::Activation& op, const Geometry& geometry, const Forward& call) {
  kernels::activation(activation_of(op.kind), call.samples * graph::elements(geometry.output), call.x[0], call.y);
}

void backward(const graph::Activation& op, const Geometry& geometry, const Backward& call) {
  if (call.dx[0] != nullptr) {
    kernels::activation_backward(activation_of(op.kind), call.samples * graph::elements(geometry.output), call.x[0],
                                 call.dy, call.dx[0]);
  }
}

}  // namespace cosearch::ops
