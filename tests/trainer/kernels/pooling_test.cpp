#include <gtest/gtest.h>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

constexpr std::array kShapes = {
    PoolShape{
        .batch = 2, .height = 8, .width = 6, .channels = 5, .out_height = 4, .out_width = 3, .kernel = 2, .stride = 2},
    PoolShape{.batch = 2,
              .height = 9,
              .width = 7,
              .channels = 17,
              .out_height = 5,
              .out_width = 4,
              .kernel = 3,
              .stride = 2,
              .pad_top = 1,
              .pad_left = 1},
    PoolShape{.batch = 1,
              .height = 5,
              .width = 5,
              .channels = 16,
              .out_height = 5,
              .out_width = 5,
              .kernel = 3,
              .stride = 1,
              .pad_top = 1,
              .pad_left = 1},
    PoolShape{
        .batch = 1, .height = 8, .width = 8, .channels = 3, .out_height = 3, .out_width = 3, .kernel = 2, .stride = 3},
};

/// body(output index, input index) for every element of every window that lies inside.
template <class Body>
void for_window_elements(const PoolShape& s, const Body& body) {
  for (std::int64_t n = 0; n < s.batch; ++n) {
    for (std::int64_t oy = 0; oy < s.out_height; ++oy) {
      for (std::int64_t ox = 0; ox < s.out_width; ++ox) {
        for (std::int64_t ky = 0; ky < s.kernel; ++ky) {
          for (std::int64_t kx = 0; kx < s.kernel; ++kx) {
            const std::int64_t iy = oy * s.stride + ky - s.pad_top;
            const std::int64_t ix = ox * s.stride + kx - s.pad_left;
            for (std::int64_t c = 0; c < s.channels && iy >= 0 && iy < s.height && ix >= 0 && ix < s.width; ++c) {
              body(at(((n * s.out_height + oy) * s.out_width + ox) * s.channels + c),
                   at(((n * s.height + iy) * s.width + ix) * s.channels + c));
            }
          }
        }
      }
    }
  }
}

std::int64_t x_size(const PoolShape& s) { return s.batch * s.height * s.width * s.channels; }
std::int64_t y_size(const PoolShape& s) { return s.batch * s.out_height * s.out_width * s.channels; }

TEST(Pooling, MaximumAndItsGradientMatchTheDefinition) {
  for (const PoolShape& s : kShapes) {
    const naive::Values x = naive::random(x_size(s), 1);
    const naive::Values dy = naive::random(y_size(s), 2);
    naive::Values y(at(y_size(s)), -1e30), dx(at(x_size(s)));
    for_window_elements(s, [&](std::size_t out, std::size_t in) { y[out] = std::max(y[out], x[in]); });
    for_window_elements(s, [&](std::size_t out, std::size_t in) { dx[in] += x[in] == y[out] ? dy[out] : 0.0; });
    const AlignedFloats x_floats = naive::floats(x);
    AlignedFloats y_floats = naive::unwritten(y_size(s));
    AlignedFloats dx_floats = naive::unwritten(x_size(s));
    max_pool(s, x_floats.data(), y_floats.data());
    max_pool_backward(s, x_floats.data(), naive::floats(dy).data(), dx_floats.data());
    naive::expect_near(y_floats, y, 1e-7);
    naive::expect_near(dx_floats, dx, 1e-6);
  }
}

TEST(Pooling, AverageAndItsGradientMatchTheDefinition) {
  for (const PoolShape& s : kShapes) {
    const naive::Values x = naive::random(x_size(s), 1);
    const naive::Values dy = naive::random(y_size(s), 2);
    const auto window = static_cast<double>(s.kernel * s.kernel);
    naive::Values y(at(y_size(s))), dx(at(x_size(s)));
    for_window_elements(s, [&](std::size_t out, std::size_t in) {
      y[out] += x[in] / window;
      dx[in] += dy[out] / window;
    });
    AlignedFloats y_floats = naive::unwritten(y_size(s));
    AlignedFloats dx_floats = naive::unwritten(x_size(s));
    average_pool(s, naive::floats(x).data(), y_floats.data());
    average_pool_backward(s, naive::floats(dy).data(), dx_floats.data());
    naive::expect_near(y_floats, y, 1e-6);
    naive::expect_near(dx_floats, dx, 1e-6);
  }
}

TEST(Pooling, TiesGoToTheFirstElement) {
  const PoolShape s{
      .batch = 1, .height = 2, .width = 2, .channels = 1, .out_height = 1, .out_width = 1, .kernel = 2, .stride = 2};
  const AlignedFloats x = naive::floats({0.0, 3.0, 3.0, 1.0});
  AlignedFloats dx = naive::unwritten(4);
  const float dy = 2.0F;
  max_pool_backward(s, x.data(), &dy, dx.data());
  naive::expect_near(dx, {0.0, 2.0, 0.0, 0.0}, 0.0);
}

TEST(Pooling, GlobalAverageAndItsGradientMatchTheDefinition) {
  const std::int64_t batch = 3;
  const std::int64_t positions = 35;
  const std::int64_t channels = 19;
  const naive::Values x = naive::random(batch * positions * channels, 1);
  const naive::Values dy = naive::random(batch * channels, 2);
  naive::Values y(at(batch * channels)), dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t out = i / at(positions * channels) * at(channels) + i % at(channels);
    y[out] += x[i] / static_cast<double>(positions);
    dx[i] = dy[out] / static_cast<double>(positions);
  }
  AlignedFloats y_floats = naive::unwritten(batch * channels);
  AlignedFloats dx_floats = naive::unwritten(batch * positions * channels);
  global_average_pool(batch, positions, channels, naive::floats(x).data(), y_floats.data());
  global_average_pool_backward(batch, positions, channels, naive::floats(dy).data(), dx_floats.data());
  naive::expect_near(y_floats, y, 1e-6);
  naive::expect_near(dx_floats, dx, 1e-6);
}

}  // namespace
}  // namespace cosearch::kernels
