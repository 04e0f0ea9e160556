#include "trainer/kernels/depthwise.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <type_traits>
#include <utility>

#include "trainer/kernels/channel_blocks.hpp"

namespace cosearch::kernels {
namespace {

using Eigen::internal::ploadu;
using Eigen::internal::pmadd;
using Eigen::internal::pset1;
using Eigen::internal::pstoreu;

/// The instruction set's vector of `lanes` floats, or the largest that it has below that.
template <std::int64_t lanes>
using PacketOf = std::conditional_t<lanes == 1, float,
                                    typename Eigen::internal::find_best_packet<float, static_cast<int>(lanes)>::type>;

/// A block of `lanes` channels in as many vectors as that takes.
template <std::int64_t lanes>
struct Block {
  using Packet = PacketOf<lanes>;
  static constexpr std::int64_t kWidth = Eigen::internal::unpacket_traits<Packet>::size;
  static constexpr std::int64_t kPackets = lanes / kWidth;
  Packet packets[kPackets];

  static Block zero() {
    Block block;  // NOLINT(cppcoreguidelines-pro-type-member-init): all vectors are set below
    for (Packet& packet : block.packets) {
      packet = pset1<Packet>(0.0F);
    }
    return block;
  }
  static Block load(const float* from) {
    Block block;  // NOLINT(cppcoreguidelines-pro-type-member-init): all vectors are set below
    for (std::int64_t i = 0; i < kPackets; ++i) {
      block.packets[i] = ploadu<Packet>(from + i * kWidth);
    }
    return block;
  }
  void store(float* to) const {
    for (std::int64_t i = 0; i < kPackets; ++i) {
      pstoreu(to + i * kWidth, packets[i]);
    }
  }
  /// this += a * b
  void add_product(const Block& a, const Block& b) {
    for (std::int64_t i = 0; i < kPackets; ++i) {
      packets[i] = pmadd(a.packets[i], b.packets[i], packets[i]);
    }
  }
};

/// A range of taps or of outputs.
struct Range {
  std::int64_t begin;
  std::int64_t end;
};
/// The taps of a window whose first position is `origin` that lie inside [0, extent).
Range taps_inside(std::int64_t origin, std::int64_t kernel, std::int64_t extent) {
  return {std::max<std::int64_t>(0, -origin), std::min(kernel, extent - origin)};
}
/// The outputs o for which 0 <= o * stride + offset < extent.
Range outputs_inside(std::int64_t offset, std::int64_t stride, std::int64_t extent, std::int64_t outputs) {
  const std::int64_t begin = offset >= 0 ? 0 : (stride - 1 - offset) / stride;
  const std::int64_t last = extent - 1 - offset;
  const std::int64_t end = last < 0 ? 0 : std::min(outputs, last / stride + 1);
  return {std::min(begin, end), end};
}

/// Kernel sizes are template arguments where loops over taps should be unrolled; 0: known at run time only.
template <std::int64_t kernel>
std::int64_t kernel_width(const ConvShape& s) {
  return kernel == 0 ? s.kernel_w : kernel;
}

/// One output pixel; its window has the given taps.
void forward_border_pixel(const ConvShape& s, const float* image, const float* w, std::int64_t iy, std::int64_t ix,
                          float* y) {
  const Range rows = taps_inside(iy, s.kernel_h, s.height);
  const Range columns = taps_inside(ix, s.kernel_w, s.width);
  for_channel_blocks(s.channels, [&](std::int64_t c, auto lanes) {
    using Lanes = Block<lanes>;
    Lanes sum = Lanes::zero();
    for (std::int64_t ky = rows.begin; ky < rows.end; ++ky) {
      for (std::int64_t kx = columns.begin; kx < columns.end; ++kx) {
        sum.add_product(Lanes::load(image + ((iy + ky) * s.width + ix + kx) * s.channels + c),
                        Lanes::load(w + (ky * s.kernel_w + kx) * s.channels + c));
      }
    }
    sum.store(y + c);
  });
}

/// `pixels` neighbouring output pixels; their windows lie inside the image's width, and `rows` are the taps inside its
/// height. Several sums at once hide the latency of the additions and share the weights.
template <std::int64_t kernel, std::int64_t lanes, std::int64_t pixels>
void forward_pixels(const ConvShape& s, const float* source, const float* w, const Range& rows, float* y) {
  using Lanes = Block<lanes>;
  Lanes sums[pixels];  // NOLINT(cppcoreguidelines-pro-type-member-init): all are set below
  for (Lanes& sum : sums) {
    sum = Lanes::zero();
  }
  for (std::int64_t ky = rows.begin; ky < rows.end; ++ky) {
    for (std::int64_t kx = 0; kx < kernel_width<kernel>(s); ++kx) {
      const Lanes tap = Lanes::load(w + (ky * kernel_width<kernel>(s) + kx) * s.channels);
      for (std::int64_t p = 0; p < pixels; ++p) {
        sums[p].add_product(Lanes::load(source + (ky * s.width + kx + p * s.stride) * s.channels), tap);
      }
    }
  }
  for (std::int64_t p = 0; p < pixels; ++p) {
    sums[p].store(y + p * s.channels);
  }
}

/// The pixels [columns.begin, columns.end) of one output row, whose windows lie inside the image's width.
template <std::int64_t kernel>
void forward_row(const ConvShape& s, const float* image, const float* w, std::int64_t iy, const Range& columns,
                 float* y) {
  constexpr std::int64_t kPixels = 4;
  const Range rows = taps_inside(iy, s.kernel_h, s.height);
  for_channel_blocks(s.channels, [&](std::int64_t c, auto lanes) {
    const float* source = image + iy * s.width * s.channels + c;
    const auto at = [&](std::int64_t ox) { return source + (ox * s.stride - s.pad_left) * s.channels; };
    std::int64_t ox = columns.begin;
    for (; ox + kPixels <= columns.end; ox += kPixels) {
      forward_pixels<kernel, lanes, kPixels>(s, at(ox), w + c, rows, y + ox * s.channels + c);
    }
    for (; ox < columns.end; ++ox) {
      forward_pixels<kernel, lanes, 1>(s, at(ox), w + c, rows, y + ox * s.channels + c);
    }
  });
}

template <std::int64_t kernel>
void forward_image(const ConvShape& s, const float* image, const float* w, float* y) {
  // Windows whose first and whose last column of taps lie inside.
  const Range first_column = outputs_inside(-s.pad_left, s.stride, s.width, s.out_width);
  const Range last_column = outputs_inside(s.kernel_w - 1 - s.pad_left, s.stride, s.width, s.out_width);
  const std::int64_t inner_begin = std::max(first_column.begin, last_column.begin);
  const Range inner = {inner_begin, std::max(inner_begin, std::min(first_column.end, last_column.end))};
  for (std::int64_t oy = 0; oy < s.out_height; ++oy, y += s.out_width * s.channels) {
    const std::int64_t iy = oy * s.stride - s.pad_top;
    forward_row<kernel>(s, image, w, iy, inner, y);
    for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
      if (ox < inner.begin || ox >= inner.end) {
        forward_border_pixel(s, image, w, iy, ox * s.stride - s.pad_left, y + ox * s.channels);
      }
    }
  }
}

/// The taps of one axis that reach the input position `at`: tap first + j * stride belongs to output last - j, for j in
/// [begin, end).
struct ReachingTaps {
  std::int64_t first;
  std::int64_t last;
  std::int64_t begin;
  std::int64_t end;
};
ReachingTaps reaching_taps(std::int64_t at, std::int64_t pad, std::int64_t stride, std::int64_t kernel,
                           std::int64_t outputs) {
  const std::int64_t first = (at + pad) % stride;
  const std::int64_t last = (at + pad) / stride;
  const std::int64_t taps = first < kernel ? (kernel - 1 - first) / stride + 1 : 0;
  return {first, last, std::max<std::int64_t>(0, last - outputs + 1), std::min(taps, last + 1)};
}

/// One pixel of dx at any stride: gathers from the outputs that it took part in.
void backward_data_pixel(const ConvShape& s, const float* dy, const float* w, const ReachingTaps& rows,
                         const ReachingTaps& columns, float* dx) {
  for_channel_blocks(s.channels, [&](std::int64_t c, auto lanes) {
    using Lanes = Block<lanes>;
    Lanes sum = Lanes::zero();
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      const float* dy_row = dy + (rows.last - i) * s.out_width * s.channels + c;
      const float* w_row = w + (rows.first + i * s.stride) * s.kernel_w * s.channels + c;
      for (std::int64_t j = columns.begin; j < columns.end; ++j) {
        sum.add_product(Lanes::load(dy_row + (columns.last - j) * s.channels),
                        Lanes::load(w_row + (columns.first + j * s.stride) * s.channels));
      }
    }
    sum.store(dx + c);
  });
}

/// dw of `taps` neighbouring taps of one row (first tap kx) += x_row * dy_row over one output row. The sums stay in
/// registers along the row; several at once hide the latency of the additions.
template <std::int64_t taps>
void backward_weights_row(const ConvShape& s, const float* x_row, const float* dy_row, std::int64_t kx, float* dw_row) {
  const Range first = outputs_inside(kx - s.pad_left, s.stride, s.width, s.out_width);
  const Range last = outputs_inside(kx + taps - 1 - s.pad_left, s.stride, s.width, s.out_width);
  const std::int64_t begin = std::max(first.begin, last.begin);
  const Range common = {begin, std::max(begin, std::min(first.end, last.end))};
  for_channel_blocks(s.channels, [&](std::int64_t c, auto lanes) {
    using Lanes = Block<lanes>;
    Lanes sums[taps];
    for (std::int64_t t = 0; t < taps; ++t) {
      sums[t] = Lanes::load(dw_row + (kx + t) * s.channels + c);
    }
    for (std::int64_t ox = common.begin; ox < common.end; ++ox) {
      const Lanes gradient = Lanes::load(dy_row + ox * s.channels + c);
      const float* source = x_row + (ox * s.stride - s.pad_left + kx) * s.channels + c;
      for (std::int64_t t = 0; t < taps; ++t) {
        sums[t].add_product(Lanes::load(source + t * s.channels), gradient);
      }
    }
    for (std::int64_t t = 0; t < taps; ++t) {
      // Outputs at the ends of the row that only some of the taps reach.
      const Range own = outputs_inside(kx + t - s.pad_left, s.stride, s.width, s.out_width);
      const auto add = [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t ox = from; ox < to; ++ox) {
          sums[t].add_product(Lanes::load(x_row + (ox * s.stride - s.pad_left + kx + t) * s.channels + c),
                              Lanes::load(dy_row + ox * s.channels + c));
        }
      };
      add(own.begin, std::min(own.end, common.begin));
      add(std::max(own.begin, common.end), own.end);
      sums[t].store(dw_row + (kx + t) * s.channels + c);
    }
  });
}

/// Calls body with the kernel size as a compile-time constant: 3, 5, 7, or 0 for any other.
template <class Body>
void for_kernel_size(const ConvShape& s, const Body& body) {
  const std::int64_t kernel = s.kernel_h == s.kernel_w ? s.kernel_h : 0;
  switch (kernel) {
    case 3:
      return body(std::integral_constant<std::int64_t, 3>{});
    case 5:
      return body(std::integral_constant<std::int64_t, 5>{});
    case 7:
      return body(std::integral_constant<std::int64_t, 7>{});
    default:
      return body(std::integral_constant<std::int64_t, 0>{});
  }
}

std::int64_t image_size(const ConvShape& s) { return s.height * s.width * s.channels; }
std::int64_t output_size(const ConvShape& s) { return s.out_height * s.out_width * s.channels; }

}  // namespace

void depthwise_forward(const ConvShape& shape, const float* x, const float* w, float* y) {
  for_kernel_size(shape, [&](auto kernel) {
    for (std::int64_t n = 0; n < shape.batch; ++n) {
      forward_image<kernel>(shape, x + n * image_size(shape), w, y + n * output_size(shape));
    }
  });
}

void depthwise_backward_data(const ConvShape& shape, const float* dy, const float* w, float* dx, float* scratch) {
  if (shape.stride == 1) {
    // A convolution of dy with the mirrored kernel.
    const std::int64_t taps = shape.kernel_h * shape.kernel_w;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::copy_n(w + (taps - 1 - tap) * shape.channels, shape.channels, scratch + tap * shape.channels);
    }
    ConvShape mirror = shape;
    std::swap(mirror.height, mirror.out_height);
    std::swap(mirror.width, mirror.out_width);
    mirror.pad_top = shape.kernel_h - 1 - shape.pad_top;
    mirror.pad_left = shape.kernel_w - 1 - shape.pad_left;
    depthwise_forward(mirror, dy, scratch, dx);
    return;
  }
  for (std::int64_t n = 0; n < shape.batch; ++n) {
    for (std::int64_t iy = 0; iy < shape.height; ++iy) {
      const ReachingTaps rows = reaching_taps(iy, shape.pad_top, shape.stride, shape.kernel_h, shape.out_height);
      for (std::int64_t ix = 0; ix < shape.width; ++ix) {
        const ReachingTaps columns = reaching_taps(ix, shape.pad_left, shape.stride, shape.kernel_w, shape.out_width);
        backward_data_pixel(shape, dy + n * output_size(shape), w, rows, columns,
                            dx + n * image_size(shape) + (iy * shape.width + ix) * shape.channels);
      }
    }
  }
}

void depthwise_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw) {
  std::fill_n(dw, shape.kernel_h * shape.kernel_w * shape.channels, 0.0F);
  for_kernel_size(shape, [&](auto kernel) {
    constexpr std::int64_t kTaps = kernel == 0 ? 1 : static_cast<std::int64_t>(kernel);
    for (std::int64_t n = 0; n < shape.batch; ++n) {
      for (std::int64_t oy = 0; oy < shape.out_height; ++oy) {
        const float* dy_row = dy + n * output_size(shape) + oy * shape.out_width * shape.channels;
        const std::int64_t iy = oy * shape.stride - shape.pad_top;
        const Range rows = taps_inside(iy, shape.kernel_h, shape.height);
        for (std::int64_t ky = rows.begin; ky < rows.end; ++ky) {
          const float* x_row = x + n * image_size(shape) + (iy + ky) * shape.width * shape.channels;
          float* dw_row = dw + ky * shape.kernel_w * shape.channels;
          for (std::int64_t kx = 0; kx < shape.kernel_w; kx += kTaps) {
            backward_weights_row<kTaps>(shape, x_row, dy_row, kx, dw_row);
          }
        }
      }
    }
  });
}

}  // namespace cosearch::kernels
