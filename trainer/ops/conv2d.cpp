#include "trainer/ops/ops.hpp"

namespace cosearch::ops {
namespace {

kernels::ConvShape conv_shape(const graph::Conv2d& op, const Geometry& g, std::int64_t samples) {
  return {.batch = samples,
          .height = g.input()[0],
          .width = g.input()[1],
          .channels = g.input()[2],
          .out_height = g.output[0],
          .out_width = g.output[1],
          .out_channels = g.output[2],
          .kernel_h = op.kernel_h,
          .kernel_w = op.kernel_w,
          .stride = op.stride,
          .pad_top = op.padding.top,
          .pad_left = op.padding.left,
          .groups = op.groups};
}

std::int64_t rows(const Geometry& g, std::int64_t samples) { return samples * g.output[0] * g.output[1]; }

}  // namespace

Needs needs(const graph::Conv2d& op, const Geometry& geometry, std::int64_t samples) {
  const kernels::ConvShape shape = conv_shape(op, geometry, samples);
  return {.scratch = geometry.dense->conv2d_scratch(shape, geometry.use),
          .packed = geometry.dense->conv2d_packed(shape, geometry.use),
          .inputs_in_backward = true};
}

void pack(const graph::Conv2d& op, const Geometry& geometry, const float* weights, float* packed) {
  geometry.dense->conv2d_pack(conv_shape(op, geometry, 1), geometry.use, weights, packed);
}

void forward(const graph::Conv2d& op, const Geometry& geometry, const Forward& call) {
  geometry.dense->conv2d_forward(conv_shape(op, geometry, call.samples), call.x[0], call.weights[0], call.packed,
                                 call.y, call.scratch);
  if (op.bias) {
    kernels::add_bias(rows(geometry, call.samples), op.out_channels, call.weights[1], call.y);
  }
}

void backward(const graph::Conv2d& op, const Geometry& geometry, const Backward& call) {
  const kernels::ConvShape shape = conv_shape(op, geometry, call.samples);
  geometry.dense->conv2d_backward_weights(shape, call.x[0], call.dy, call.dweights[0], call.scratch);
  if (op.bias) {
    kernels::bias_backward(rows(geometry, call.samples), op.out_channels, call.dy, call.dweights[1]);
  }
  if (call.dx[0] != nullptr) {
    geometry.dense->conv2d_backward_data(shape, call.dy, call.weights[0], call.packed, call.dx[0], call.scratch);
  }
}

}  // namespace cosearch::ops
