#include "tests/trainer/kernels/half_oracle.hpp"

namespace cosearch::half_oracle {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// x (n, y, x, c), 0 outside.
float pixel(const std::vector<float>& image, std::int64_t height, std::int64_t width, std::int64_t channels,
            std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) {
  const bool inside = y >= 0 && x >= 0 && y < height && x < width;
  return inside ? image[at(((n * height + y) * width + x) * channels + c)] : 0.0F;
}

template <class Body>
void for_each(std::int64_t a, std::int64_t b, std::int64_t c, const Body& body) {
  for (std::int64_t i = 0; i < a; ++i) {
    for (std::int64_t j = 0; j < b; ++j) {
      for (std::int64_t k = 0; k < c; ++k) {
        body(i, j, k);
      }
    }
  }
}

}  // namespace

Convolution convolution(const kernels::ConvShape& s, bool fp32_accumulation, const std::vector<float>& x,
                        const std::vector<float>& w, const std::vector<float>& dy) {
  const std::int64_t inputs = s.channels / s.groups;
  const std::int64_t outputs = s.out_channels / s.groups;
  const auto weight = [&](std::int64_t ky, std::int64_t kx, std::int64_t c, std::int64_t o) {
    return at(((ky * s.kernel_w + kx) * inputs + c) * s.out_channels + o);
  };
  Convolution result;
  result.dw.resize(w.size());
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for_each(s.out_height, s.out_width, s.out_channels, [&](std::int64_t oy, std::int64_t ox, std::int64_t o) {
      std::vector<Pair> pairs;
      for_each(s.kernel_h, s.kernel_w, inputs, [&](std::int64_t ky, std::int64_t kx, std::int64_t c) {
        pairs.push_back({pixel(x, s.height, s.width, s.channels, n, oy * s.stride - s.pad_top + ky,
                               ox * s.stride - s.pad_left + kx, o / outputs * inputs + c),
                         w[weight(ky, kx, c, o)]});
      });
      result.y.push_back(inner_product(pairs, fp32_accumulation));
    });
    for_each(s.height, s.width, s.channels, [&](std::int64_t iy, std::int64_t ix, std::int64_t channel) {
      std::vector<Pair> pairs;
      for_each(s.kernel_h, s.kernel_w, outputs, [&](std::int64_t ky, std::int64_t kx, std::int64_t output) {
        const std::int64_t tap_y = s.kernel_h - 1 - ky;  // of the kernel that is mirrored
        const std::int64_t tap_x = s.kernel_w - 1 - kx;
        const std::int64_t y = iy + s.pad_top - tap_y;
        const std::int64_t x_at = ix + s.pad_left - tap_x;
        const std::int64_t o = channel / inputs * outputs + output;
        const bool reached = y % s.stride == 0 && x_at % s.stride == 0;
        pairs.push_back(
            {reached ? pixel(dy, s.out_height, s.out_width, s.out_channels, n, y / s.stride, x_at / s.stride, o) : 0.0F,
             w[weight(tap_y, tap_x, channel % inputs, o)]});
      });
      result.dx.push_back(inner_product(pairs, fp32_accumulation));
    });
    for_each(s.kernel_h, s.kernel_w, inputs * s.out_channels, [&](std::int64_t ky, std::int64_t kx, std::int64_t co) {
      const std::int64_t c = co / s.out_channels;
      const std::int64_t o = co % s.out_channels;
      std::vector<Pair> pairs;
      for_each(s.out_height, s.out_width, 1, [&](std::int64_t oy, std::int64_t ox, std::int64_t /*one*/) {
        pairs.push_back({pixel(x, s.height, s.width, s.channels, n, oy * s.stride - s.pad_top + ky,
                               ox * s.stride - s.pad_left + kx, o / outputs * inputs + c),
                         dy[at(((n * s.out_height + oy) * s.out_width + ox) * s.out_channels + o)]});
      });
      float& dw = result.dw[weight(ky, kx, c, o)];
      const float sum = inner_product(pairs, fp32_accumulation);
      dw = n == 0 ? sum : add(dw, sum);
    });
  }
  return result;
}

}  // namespace cosearch::half_oracle
