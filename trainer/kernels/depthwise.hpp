#pragma once

#include "trainer/kernels/kernels.hpp"

/// Depthwise convolutions (groups == channels == out_channels), vectorised over the channels, without im2col.
namespace cosearch::kernels {

[[nodiscard]] inline bool is_depthwise(const ConvShape& shape) noexcept {
  return shape.groups == shape.channels && shape.channels == shape.out_channels;
}

/// Floats that `depthwise_backward_data` needs.
[[nodiscard]] inline std::int64_t depthwise_scratch(const ConvShape& shape) noexcept {
  return shape.kernel_h * shape.kernel_w * shape.channels;
}

void depthwise_forward(const ConvShape& shape, const float* x, const float* w, float* y);
void depthwise_backward_data(const ConvShape& shape, const float* dy, const float* w, float* dx, float* scratch);
void depthwise_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw);

}  // namespace cosearch::kernels
