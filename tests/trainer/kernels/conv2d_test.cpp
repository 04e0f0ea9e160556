#include <gtest/gtest.h>

#include <string>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

void expect_all_three_match(const Dense& dense, const ConvShape& s) {
  const std::int64_t x_size = s.batch * s.height * s.width * s.channels;
  const std::int64_t y_size = s.batch * s.out_height * s.out_width * s.out_channels;
  const std::int64_t w_size = s.kernel_h * s.kernel_w * (s.channels / s.groups) * s.out_channels;
  const naive::Values x = naive::random(x_size, 1);
  const naive::Values w = naive::random(w_size, 2);
  const naive::Values dy = naive::random(y_size, 3);
  naive::Values y(naive::at(y_size)), dx(naive::at(x_size)), dw(naive::at(w_size));
  naive::for_conv_products(s, [&](std::size_t weight, std::size_t in, std::size_t out) {
    y[out] += x[in] * w[weight];
    dx[in] += dy[out] * w[weight];
    dw[weight] += x[in] * dy[out];
  });
  const AlignedFloats x_floats = naive::floats(x);
  const AlignedFloats w_floats = naive::floats(w);
  const AlignedFloats dy_floats = naive::floats(dy);
  AlignedFloats scratch = naive::unwritten(dense.conv2d_scratch(s, Use::training));
  AlignedFloats packed = naive::unwritten(dense.conv2d_packed(s, Use::training));
  AlignedFloats y_floats = naive::unwritten(y_size);
  AlignedFloats dx_floats = naive::unwritten(x_size);
  AlignedFloats dw_floats = naive::unwritten(w_size);
  ConvShape one = s;
  one.batch = 1;  // packed weights serve every batch
  dense.conv2d_pack(one, Use::training, w_floats.data(), packed.data());
  dense.conv2d_forward(s, x_floats.data(), w_floats.data(), packed.data(), y_floats.data(), scratch.data());
  dense.conv2d_backward_data(s, dy_floats.data(), w_floats.data(), packed.data(), dx_floats.data(), scratch.data());
  dense.conv2d_backward_weights(s, x_floats.data(), dy_floats.data(), dw_floats.data(), scratch.data());
  naive::expect_near(y_floats, y, 1e-5);
  naive::expect_near(dx_floats, dx, 1e-5);
  naive::expect_near(dw_floats, dw, 1e-5);
}

void expect_all_three_match(const ConvShape& s) {
  expect_all_three_match(eigen_dense(), s);
  if (const Dense* onednn = onednn_dense(Precision::fp32)) {
    expect_all_three_match(*onednn, s);
  }
}

/// The output size for padding that is the same on both sides plus `extra` at the bottom and right.
ConvShape make_shape(std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t channels,
                     std::int64_t out_channels, std::int64_t kernel_h, std::int64_t kernel_w, std::int64_t stride,
                     std::int64_t pad_top, std::int64_t pad_left, std::int64_t extra, std::int64_t groups) {
  return {.batch = batch,
          .height = height,
          .width = width,
          .channels = channels,
          .out_height = (height + 2 * pad_top + extra - kernel_h) / stride + 1,
          .out_width = (width + 2 * pad_left + extra - kernel_w) / stride + 1,
          .out_channels = out_channels,
          .kernel_h = kernel_h,
          .kernel_w = kernel_w,
          .stride = stride,
          .pad_top = pad_top,
          .pad_left = pad_left,
          .groups = groups};
}

TEST(Conv2d, DenseConvolutionsMatchTheDefinition) {
  expect_all_three_match(make_shape(2, 8, 8, 3, 16, 3, 3, 1, 1, 1, 0, 1));
  expect_all_three_match(make_shape(1, 9, 7, 16, 32, 3, 3, 2, 1, 1, 0, 1));
  expect_all_three_match(make_shape(3, 8, 8, 4, 5, 3, 3, 2, 0, 0, 1, 1));     // TensorFlow's SAME at stride 2
  expect_all_three_match(make_shape(2, 13, 10, 1, 8, 10, 4, 2, 4, 1, 1, 1));  // keyword-spotting stem
  expect_all_three_match(make_shape(2, 6, 6, 20, 17, 5, 5, 1, 2, 2, 0, 1));
}

TEST(Conv2d, PointwiseConvolutionsMatchTheDefinition) {
  expect_all_three_match(make_shape(2, 7, 5, 24, 40, 1, 1, 1, 0, 0, 0, 1));
  expect_all_three_match(make_shape(2, 7, 5, 24, 40, 1, 1, 2, 0, 0, 0, 1));
  expect_all_three_match(make_shape(2, 4, 4, 3, 4, 1, 1, 1, 1, 1, 0, 1));  // padded: not a plain matrix product
}

TEST(Conv2d, ManyTilesMatchTheDefinition) {
  // More patches than one tile holds.
  expect_all_three_match(make_shape(3, 32, 32, 8, 4, 3, 3, 1, 1, 1, 0, 1));
}

TEST(Conv2d, GroupedConvolutionsMatchTheDefinition) {
  expect_all_three_match(make_shape(2, 6, 7, 12, 18, 3, 3, 1, 1, 1, 0, 3));
  expect_all_three_match(make_shape(2, 6, 7, 12, 18, 3, 3, 2, 1, 1, 0, 6));
  expect_all_three_match(make_shape(2, 6, 6, 5, 15, 3, 3, 1, 1, 1, 0, 5));  // depth multiplier 3
}

TEST(Conv2d, DepthwiseConvolutionsMatchTheDefinition) {
  for (const std::int64_t kernel : {2, 3, 5, 7}) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (const std::int64_t channels : {5, 16, 39}) {
        SCOPED_TRACE("kernel " + std::to_string(kernel) + " stride " + std::to_string(stride) + " channels " +
                     std::to_string(channels));
        expect_all_three_match(make_shape(2, 11, 9, channels, channels, kernel, kernel, stride, (kernel - 1) / 2,
                                          (kernel - 1) / 2, 0, channels));
        expect_all_three_match(make_shape(1, 10, 8, channels, channels, kernel, kernel, stride, 0, 0, 1, channels));
      }
    }
  }
}

TEST(Conv2d, DepthwiseKernelsLargerThanTheImageMatchTheDefinition) {
  expect_all_three_match(make_shape(2, 2, 3, 16, 16, 7, 7, 1, 3, 3, 0, 16));
  expect_all_three_match(make_shape(2, 3, 2, 4, 4, 5, 3, 2, 2, 1, 0, 4));
}

TEST(Conv2d, RandomShapesMatchTheDefinition) {
  RngStream rng(7, Purpose::test, 0);
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
  };
  for (int i = 0; i < 60; ++i) {
    const std::int64_t groups = draw(1, 3);
    const std::int64_t kernel_h = draw(1, 5);
    const std::int64_t kernel_w = draw(1, 5);
    const ConvShape shape =
        make_shape(draw(1, 3), draw(5, 12), draw(5, 12), groups * draw(1, 9), groups * draw(1, 20), kernel_h, kernel_w,
                   draw(1, 3), draw(0, kernel_h - 1), draw(0, kernel_w - 1), draw(0, 1), groups);
    SCOPED_TRACE("case " + std::to_string(i));
    expect_all_three_match(shape);
  }
}

}  // namespace
}  // namespace cosearch::kernels
