#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "spaces/base/rng.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/net/aligned_floats.hpp"

/// Double-precision versions of the kernels, written from their definitions and nothing else.
namespace cosearch::naive {

using Values = std::vector<double>;

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Normal numbers that floats hold exactly, so that both sides start from the same values.
inline Values random(std::int64_t count, std::uint64_t stream) {
  RngStream rng(20260101, Purpose::test, stream);
  Values values(at(count));
  std::generate(values.begin(), values.end(), [&] { return static_cast<double>(static_cast<float>(rng.normal())); });
  return values;
}

/// An aligned copy in single precision.
inline AlignedFloats floats(const Values& values) {
  AlignedFloats copy(static_cast<std::int64_t>(values.size()));
  std::transform(values.begin(), values.end(), copy.data(), [](double v) { return static_cast<float>(v); });
  return copy;
}

/// An aligned output, filled with NaN so that an element that is not written is seen.
inline AlignedFloats unwritten(std::int64_t count) {
  AlignedFloats output(count);
  std::fill_n(output.data(), count, std::numeric_limits<float>::quiet_NaN());
  return output;
}

/// |actual - expected| <= tolerance * (largest |expected|, at least 1e-3).
inline void expect_near(std::span<const float> actual, const Values& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  double largest = 1e-3;
  for (const double value : expected) {
    largest = std::max(largest, std::abs(value));
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], tolerance * largest) << "element " << i;
  }
}
inline void expect_near(const AlignedFloats& actual, const Values& expected, double tolerance) {
  expect_near(actual.span(), expected, tolerance);
}

/// Calls body(weight index, x index, y index) for every product of the convolution.
template <class Body>
void for_conv_products(const kernels::ConvShape& s, const Body& body) {
  const std::int64_t in_group = s.channels / s.groups;
  const std::int64_t out_group = s.out_channels / s.groups;
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for (std::int64_t oy = 0; oy < s.out_height; ++oy) {
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        for (std::int64_t o = 0; o < s.out_channels; ++o) {
          for (std::int64_t ky = 0; ky < s.kernel_h; ++ky) {
            for (std::int64_t kx = 0; kx < s.kernel_w; ++kx) {
              const std::int64_t iy = oy * s.stride + ky - s.pad_top;
              const std::int64_t ix = ox * s.stride + kx - s.pad_left;
              if (iy < 0 || iy >= s.height || ix < 0 || ix >= s.width) {
                continue;
              }
              for (std::int64_t c = 0; c < in_group; ++c) {
                const std::int64_t channel = o / out_group * in_group + c;
                body(at(((ky * s.kernel_w + kx) * in_group + c) * s.out_channels + o),
                     at(((n * s.height + iy) * s.width + ix) * s.channels + channel),
                     at(((n * s.out_height + oy) * s.out_width + ox) * s.out_channels + o));
              }
            }
          }
        }
      }
    }
  }
}

/// f and its derivative.
inline double activation(kernels::Activation kind, double x) {
  switch (kind) {
    case kernels::Activation::identity:
      return x;
    case kernels::Activation::relu:
      return std::max(x, 0.0);
    case kernels::Activation::relu6:
      return std::min(std::max(x, 0.0), 6.0);
    case kernels::Activation::hard_swish:
      return x * std::min(std::max(x + 3.0, 0.0), 6.0) / 6.0;
    case kernels::Activation::gelu:
      return x * std::erfc(-x / std::sqrt(2.0)) / 2.0;
  }
  return 0.0;
}
/// By central differences; callers keep away from kinks.
inline double slope(kernels::Activation kind, double x) {
  constexpr double kStep = 1e-6;
  return (activation(kind, x + kStep) - activation(kind, x - kStep)) / (2.0 * kStep);
}

}  // namespace cosearch::naive
