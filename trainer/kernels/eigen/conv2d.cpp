#include <algorithm>
#include <cstring>

#include "trainer/kernels/depthwise.hpp"
#include "trainer/kernels/eigen/eigen_dense.hpp"

namespace cosearch::kernels {
namespace {

/// A tile of patches is about this large, so that it stays in the second-level cache (256 KiB of at least 1 MiB, half
/// of it for the result).
constexpr std::int64_t kTileFloats = 64 * 1024;

std::int64_t patch_length(const ConvShape& s) { return s.kernel_h * s.kernel_w * (s.channels / s.groups); }
std::int64_t positions(const ConvShape& s) { return s.batch * s.out_height * s.out_width; }

std::int64_t tile_rows(const ConvShape& s) {
  const std::int64_t rows = std::max<std::int64_t>(64, kTileFloats / patch_length(s) / 16 * 16);
  return std::min(rows, positions(s));
}

bool is_pointwise(const ConvShape& s) {
  return s.kernel_h == 1 && s.kernel_w == 1 && s.stride == 1 && s.groups == 1 && s.pad_top == 0 && s.pad_left == 0 &&
         s.out_height == s.height && s.out_width == s.width;
}

/// The gradient by x at stride 1 as a convolution of dy with the mirrored, transposed kernel: gathers instead of
/// scattering.
ConvShape mirrored(const ConvShape& s) {
  ConvShape m = s;
  m.height = s.out_height;
  m.width = s.out_width;
  m.channels = s.out_channels;
  m.out_height = s.height;
  m.out_width = s.width;
  m.out_channels = s.channels;
  m.pad_top = s.kernel_h - 1 - s.pad_top;
  m.pad_left = s.kernel_w - 1 - s.pad_left;
  return m;
}
bool can_mirror(const ConvShape& s) {
  return s.stride == 1 && s.groups == 1 && s.pad_top < s.kernel_h && s.pad_left < s.kernel_w;
}

/// A loop of vector moves: a call of memcpy costs more than the few hundred bytes that one patch row has.
void copy_floats(float* target, const float* source, std::int64_t count) {
  for (; count >= 16; count -= 16, target += 16, source += 16) {
    std::memcpy(target, source, 16 * sizeof(float));
  }
  for (std::int64_t i = 0; i < count; ++i) {
    target[i] = source[i];
  }
}

/// Position of an output pixel in the batch.
struct Pixel {
  std::int64_t sample, oy, ox;
};
Pixel pixel_at(const ConvShape& s, std::int64_t position) {
  const std::int64_t per_image = s.out_height * s.out_width;
  return {position / per_image, position % per_image / s.out_width, position % s.out_width};
}
void advance(const ConvShape& s, Pixel& p) {
  if (++p.ox == s.out_width) {
    p.ox = 0;
    if (++p.oy == s.out_height) {
      p.oy = 0;
      ++p.sample;
    }
  }
}

/// One row (one ky) of a patch without groups: `kernel_w * channels` neighbouring floats of x, zeros outside.
void gather_row(const ConvShape& s, const float* row, std::int64_t ix, float* target) {
  const std::int64_t begin = std::clamp<std::int64_t>(-ix, 0, s.kernel_w);
  const std::int64_t end = std::clamp<std::int64_t>(s.width - ix, begin, s.kernel_w);
  std::fill_n(target, begin * s.channels, 0.0F);
  copy_floats(target + begin * s.channels, row + (ix + begin) * s.channels, (end - begin) * s.channels);
  std::fill_n(target + end * s.channels, (s.kernel_w - end) * s.channels, 0.0F);
}

/// The same for one group: channels / groups floats at a time.
void gather_group_row(const ConvShape& s, const float* row, std::int64_t ix, std::int64_t group, float* target) {
  const std::int64_t width = s.channels / s.groups;
  for (std::int64_t kx = 0; kx < s.kernel_w; ++kx, target += width) {
    if (ix + kx < 0 || ix + kx >= s.width) {
      std::fill_n(target, width, 0.0F);
    } else {
      copy_floats(target, row + (ix + kx) * s.channels + group * width, width);
    }
  }
}

/// patches (rows, kernel_h * kernel_w * channels / groups) of the output positions [first, first + rows).
void image_to_patches(const ConvShape& s, const float* x, std::int64_t first, std::int64_t rows, std::int64_t group,
                      float* patches) {
  const std::int64_t row_length = s.kernel_w * (s.channels / s.groups);
  Pixel p = pixel_at(s, first);
  for (std::int64_t r = 0; r < rows; ++r, advance(s, p)) {
    const std::int64_t iy = p.oy * s.stride - s.pad_top;
    const std::int64_t ix = p.ox * s.stride - s.pad_left;
    for (std::int64_t ky = 0; ky < s.kernel_h; ++ky, patches += row_length) {
      if (iy + ky < 0 || iy + ky >= s.height) {
        std::fill_n(patches, row_length, 0.0F);
        continue;
      }
      const float* row = x + (p.sample * s.height + iy + ky) * s.width * s.channels;
      if (s.groups == 1) {
        gather_row(s, row, ix, patches);
      } else {
        gather_group_row(s, row, ix, group, patches);
      }
    }
  }
}

/// Adds patches to the places in dx that `image_to_patches` read.
void patches_to_image(const ConvShape& s, const float* patches, std::int64_t first, std::int64_t rows,
                      std::int64_t group, float* dx) {
  const std::int64_t width = s.channels / s.groups;
  Pixel p = pixel_at(s, first);
  for (std::int64_t r = 0; r < rows; ++r, advance(s, p)) {
    const std::int64_t iy = p.oy * s.stride - s.pad_top;
    const std::int64_t ix = p.ox * s.stride - s.pad_left;
    for (std::int64_t ky = 0; ky < s.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < s.kernel_w; ++kx, patches += width) {
        if (iy + ky < 0 || iy + ky >= s.height || ix + kx < 0 || ix + kx >= s.width) {
          continue;
        }
        float* target = dx + ((p.sample * s.height + iy + ky) * s.width + ix + kx) * s.channels + group * width;
        for (std::int64_t c = 0; c < width; ++c) {
          target[c] += patches[c];
        }
      }
    }
  }
}

void dense_forward(const ConvShape& s, const float* x, const float* w, float* y, float* scratch) {
  const std::int64_t k = patch_length(s);
  const std::int64_t outputs = s.out_channels / s.groups;
  const std::int64_t tile = tile_rows(s);
  for (std::int64_t first = 0; first < positions(s); first += tile) {
    const std::int64_t rows = std::min(tile, positions(s) - first);
    for (std::int64_t g = 0; g < s.groups; ++g) {
      image_to_patches(s, x, first, rows, g, scratch);
      eigen_dense().gemm(false, false, rows, outputs, k, 1.0F, scratch, k, w + g * outputs, s.out_channels, 0.0F,
                         y + first * s.out_channels + g * outputs, s.out_channels);
    }
  }
}

/// a (rows, k) * op(b) -> c (rows, n) in tiles of rows whose a and c stay in the second-level cache between Eigen's
/// clearing, packing and adding.
void tiled_gemm(bool transpose_b, std::int64_t rows, std::int64_t n, std::int64_t k, const float* a, const float* b,
                std::int64_t ldb, float* c) {
  const std::int64_t tile = std::max<std::int64_t>(256, kTileFloats / (n + k) / 16 * 16);
  for (std::int64_t first = 0; first < rows; first += tile) {
    eigen_dense().gemm(false, transpose_b, std::min(tile, rows - first), n, k, 1.0F, a + first * k, k, b, ldb, 0.0F,
                       c + first * n, n);
  }
}

/// (kernel_h, kernel_w, channels, out_channels) -> mirrored in both kernel axes, (.., out_channels, channels).
void mirror_weights(const ConvShape& s, const float* w, float* mirror) {
  const std::int64_t taps = s.kernel_h * s.kernel_w;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const float* source = w + (taps - 1 - tap) * s.channels * s.out_channels;
    float* target = mirror + tap * s.channels * s.out_channels;
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      for (std::int64_t c = 0; c < s.channels; ++c) {
        target[o * s.channels + c] = source[c * s.out_channels + o];
      }
    }
  }
}

/// Whether the gradient by x goes over mirrored weights, which are then what is packed.
bool mirrors(const ConvShape& s) { return !is_depthwise(s) && !is_pointwise(s) && can_mirror(s); }

}  // namespace

std::int64_t EigenDense::conv2d_packed(const ConvShape& shape, Use use) const {
  return use == Use::training && mirrors(shape) ? patch_length(shape) * shape.out_channels : 0;
}

void EigenDense::conv2d_pack(const ConvShape& shape, Use use, const float* w, float* packed) const {
  if (conv2d_packed(shape, use) > 0) {
    mirror_weights(shape, w, packed);
  }
}

std::int64_t EigenDense::conv2d_scratch(const ConvShape& shape, Use use) const {
  if (is_depthwise(shape)) {
    return use == Use::training ? depthwise_scratch(shape) : 0;
  }
  if (is_pointwise(shape)) {
    return 0;
  }
  const std::int64_t patches = tile_rows(shape) * patch_length(shape);
  if (use == Use::inference || !can_mirror(shape)) {
    return patches;
  }
  const ConvShape mirror = mirrored(shape);
  return std::max(patches, tile_rows(mirror) * patch_length(mirror));
}

void EigenDense::conv2d_forward(const ConvShape& shape, const float* x, const float* w, const float* /*packed*/,
                                float* y, float* scratch) const {
  if (is_depthwise(shape)) {
    depthwise_forward(shape, x, w, y);
  } else if (is_pointwise(shape)) {
    tiled_gemm(false, positions(shape), shape.out_channels, shape.channels, x, w, shape.out_channels, y);
  } else {
    dense_forward(shape, x, w, y, scratch);
  }
}

void EigenDense::conv2d_backward_data(const ConvShape& shape, const float* dy, const float* w, const float* packed,
                                      float* dx, float* scratch) const {
  if (is_depthwise(shape)) {
    depthwise_backward_data(shape, dy, w, dx, scratch);
    return;
  }
  if (is_pointwise(shape)) {
    tiled_gemm(true, positions(shape), shape.channels, shape.out_channels, dy, w, shape.out_channels, dx);
    return;
  }
  if (can_mirror(shape)) {
    dense_forward(mirrored(shape), dy, packed, dx, scratch);
    return;
  }
  const std::int64_t k = patch_length(shape);
  const std::int64_t outputs = shape.out_channels / shape.groups;
  const std::int64_t tile = tile_rows(shape);
  std::fill_n(dx, shape.batch * shape.height * shape.width * shape.channels, 0.0F);
  for (std::int64_t first = 0; first < positions(shape); first += tile) {
    const std::int64_t rows = std::min(tile, positions(shape) - first);
    for (std::int64_t g = 0; g < shape.groups; ++g) {
      eigen_dense().gemm(false, true, rows, k, outputs, 1.0F, dy + first * shape.out_channels + g * outputs,
                         shape.out_channels, w + g * outputs, shape.out_channels, 0.0F, scratch, k);
      patches_to_image(shape, scratch, first, rows, g, dx);
    }
  }
}

void EigenDense::conv2d_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw,
                                         float* scratch) const {
  if (is_depthwise(shape)) {
    depthwise_backward_weights(shape, x, dy, dw);
    return;
  }
  if (is_pointwise(shape)) {
    eigen_dense().gemm(true, false, shape.channels, shape.out_channels, positions(shape), 1.0F, x, shape.channels, dy,
                       shape.out_channels, 0.0F, dw, shape.out_channels);
    return;
  }
  const std::int64_t k = patch_length(shape);
  const std::int64_t outputs = shape.out_channels / shape.groups;
  const std::int64_t tile = tile_rows(shape);
  for (std::int64_t first = 0; first < positions(shape); first += tile) {
    const std::int64_t rows = std::min(tile, positions(shape) - first);
    for (std::int64_t g = 0; g < shape.groups; ++g) {
      image_to_patches(shape, x, first, rows, g, scratch);
      eigen_dense().gemm(true, false, k, outputs, rows, 1.0F, scratch, k, dy + first * shape.out_channels + g * outputs,
                         shape.out_channels, first == 0 ? 0.0F : 1.0F, dw + g * outputs, shape.out_channels);
    }
  }
}

}  // namespace cosearch::kernels
