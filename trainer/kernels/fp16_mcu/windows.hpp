#pragma once

#include <algorithm>
#include <cstdint>

#include "trainer/kernels/dense.hpp"

namespace cosearch::kernels::fp16_mcu {

/// The windows of a convolution over one image (height, width, channels) into which dilation - 1 rows and columns of
/// zeros are inserted between neighbours: one window for each of out_height * out_width positions, in raster order.
struct Windows {
  std::int64_t height, width, channels;
  std::int64_t out_height, out_width;
  std::int64_t kernel_h, kernel_w, stride, dilation, pad_top, pad_left;
  std::int64_t groups;

  [[nodiscard]] std::int64_t positions() const { return out_height * out_width; }
  [[nodiscard]] std::int64_t taps() const { return kernel_h * kernel_w; }
  /// Elements of one group's window.
  [[nodiscard]] std::int64_t length() const { return taps() * (channels / groups); }
  /// Each window is one pixel, in the image's own order.
  [[nodiscard]] bool are_pixels() const {
    return taps() == 1 && stride == 1 && dilation == 1 && groups == 1 && pad_top == 0 && pad_left == 0 &&
           out_height == height && out_width == width;
  }

  /// The pixel at a place of the widened image; null where there is none.
  template <class Element>
  [[nodiscard]] const Element* pixel(const Element* image, std::int64_t y, std::int64_t x) const {
    if (dilation > 1) {
      if (y % dilation != 0 || x % dilation != 0) {
        return nullptr;
      }
      y /= dilation;
      x /= dilation;
    }
    return y >= 0 && x >= 0 && y < height && x < width ? image + (y * width + x) * channels : nullptr;
  }

  /// One group's window in the order (kernel_h, kernel_w, channels), zeros where there is no pixel.
  template <class Element>
  void gather(const Element* image, std::int64_t position, std::int64_t group, Element* out) const {
    const std::int64_t y = position / out_width * stride - pad_top;
    const std::int64_t x = position % out_width * stride - pad_left;
    if (groups == 1 && dilation == 1 && x >= 0 && x + kernel_w <= width) {  // whole rows of the window
      const std::int64_t row = kernel_w * channels;
      for (std::int64_t ky = 0; ky < kernel_h; ++ky, out += row) {
        copy(row, pixel(image, y + ky, x), out);
      }
      return;
    }
    const std::int64_t count = channels / groups;
    for (std::int64_t ky = 0; ky < kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < kernel_w; ++kx, out += count) {
        const Element* source = pixel(image, y + ky, x + kx);
        copy(count, source == nullptr ? nullptr : source + group * count, out);
      }
    }
  }

  /// Pixels or, for null, zeros.
  template <class Element>
  static void copy(std::int64_t count, const Element* source, Element* out) {
    if (source == nullptr) {
      std::fill_n(out, count, Element{});
    } else {
      std::copy_n(source, count, out);
    }
  }
};

/// Over x, for the result and for the gradient by w.
[[nodiscard]] inline Windows forward_windows(const ConvShape& s) {
  return {.height = s.height,
          .width = s.width,
          .channels = s.channels,
          .out_height = s.out_height,
          .out_width = s.out_width,
          .kernel_h = s.kernel_h,
          .kernel_w = s.kernel_w,
          .stride = s.stride,
          .dilation = 1,
          .pad_top = s.pad_top,
          .pad_left = s.pad_left,
          .groups = s.groups};
}

/// Over dy, for the gradient by x: its convolution with the mirrored kernel.
[[nodiscard]] inline Windows backward_windows(const ConvShape& s) {
  return {.height = s.out_height,
          .width = s.out_width,
          .channels = s.out_channels,
          .out_height = s.height,
          .out_width = s.width,
          .kernel_h = s.kernel_h,
          .kernel_w = s.kernel_w,
          .stride = 1,
          .dilation = s.stride,
          .pad_top = s.kernel_h - 1 - s.pad_top,
          .pad_left = s.kernel_w - 1 - s.pad_left,
          .groups = s.groups};
}

}  // namespace cosearch::kernels::fp16_mcu
