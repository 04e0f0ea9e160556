#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

/// A convolution whose stride is its kernel.
kernels::ConvShape conv_shape(const graph::PatchEmbed& op, const Geometry& g, std::int64_t samples) {
  return {.batch = samples,
          .height = g.input()[0],
          .width = g.input()[1],
          .channels = g.input()[2],
          .out_height = (g.input()[0] + 2 * op.padding) / op.patch,
          .out_width = (g.input()[1] + 2 * op.padding) / op.patch,
          .out_channels = op.embed_dim,
          .kernel_h = op.patch,
          .kernel_w = op.patch,
          .stride = op.patch,
          .pad_top = op.padding,
          .pad_left = op.padding,
          .groups = 1};
}

}  // namespace

Needs needs(const graph::PatchEmbed& op, const Geometry& geometry, std::int64_t samples) {
  const kernels::ConvShape shape = conv_shape(op, geometry, samples);
  return {.scratch = geometry.dense->conv2d_scratch(shape, geometry.use),
          .packed = geometry.dense->conv2d_packed(shape, geometry.use),
          .inputs_in_backward = true};
}

void pack(const graph::PatchEmbed& op, const Geometry& geometry, const float* weights, float* packed) {
  geometry.dense->conv2d_pack(conv_shape(op, geometry, 1), geometry.use, weights, packed);
}

void forward(const graph::PatchEmbed& op, const Geometry& geometry, const Forward& call) {
  geometry.dense->conv2d_forward(conv_shape(op, geometry, call.samples), call.x[0], call.weights[0], call.packed,
                                 call.y, call.scratch);
  kernels::add_bias(call.samples * geometry.output[0], op.embed_dim, call.weights[1], call.y);
}

void backward(const graph::PatchEmbed& op, const Geometry& geometry, const Backward& call) {
  const kernels::ConvShape shape = conv_shape(op, geometry, call.samples);
  geometry.dense->conv2d_backward_weights(shape, call.x[0], call.dy, call.dweights[0], call.scratch);
  kernels::bias_backward(call.samples * geometry.output[0], op.embed_dim, call.dy, call.dweights[1]);
  if (call.dx[0] != nullptr) {
    geometry.dense->conv2d_backward_data(shape, call.dy, call.weights[0], call.packed, call.dx[0], call.scratch);
  }
}

}  // namespace cosearch::ops
