#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

kernels::AttentionShape attention_shape(const graph::MultiHeadAttention& op, const Geometry& g, std::int64_t samples) {
  return {.batch = samples, .tokens = g.output[0], .heads = op.heads, .head_dim = g.output[1] / op.heads};
}

}  // namespace

Needs needs(const graph::MultiHeadAttention& op, const Geometry& geometry, std::int64_t /*samples*/) {
  const std::int64_t map = geometry.output[0] * geometry.output[0];
  return {.saved = op.heads * map, .scratch = map, .inputs_in_backward = true};
}

void forward(const graph::MultiHeadAttention& op, const Geometry& geometry, const Forward& call) {
  kernels::attention(*geometry.dense, attention_shape(op, geometry, call.samples), call.x[0], call.y, call.saved);
}

void backward(const graph::MultiHeadAttention& op, const Geometry& geometry, const Backward& call) {
  if (call.dx[0] != nullptr) {
    kernels::attention_backward(*geometry.dense, attention_shape(op, geometry, call.samples), call.x[0], call.saved,
                                call.dy, call.dx[0], call.scratch);
  }
}

}  // namespace cosearch::ops
