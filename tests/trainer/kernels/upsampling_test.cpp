#include <gtest/gtest.h>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

TEST(Upsampling, ForwardAndGradientMatchTheDefinition) {
  for (const UpsampleShape& s : {UpsampleShape{.batch = 2, .height = 3, .width = 4, .channels = 5, .factor = 2},
                                 UpsampleShape{.batch = 1, .height = 2, .width = 1, .channels = 17, .factor = 3},
                                 UpsampleShape{.batch = 3, .height = 2, .width = 5, .channels = 1, .factor = 1}}) {
    const std::int64_t x_size = s.batch * s.height * s.width * s.channels;
    const std::int64_t y_size = x_size * s.factor * s.factor;
    const naive::Values x = naive::random(x_size, 1);
    const naive::Values dy = naive::random(y_size, 2);
    naive::Values y(at(y_size)), dx(at(x_size));
    for (std::int64_t i = 0; i < y_size; ++i) {
      const std::int64_t c = i % s.channels;
      const std::int64_t column = i / s.channels % (s.factor * s.width);
      const std::int64_t row = i / s.channels / (s.factor * s.width) % (s.factor * s.height);
      const std::int64_t n = i / s.channels / (s.factor * s.width) / (s.factor * s.height);
      const std::size_t source = at(((n * s.height + row / s.factor) * s.width + column / s.factor) * s.channels + c);
      y[at(i)] = x[source];
      dx[source] += dy[at(i)];
    }
    AlignedFloats y_floats = naive::unwritten(y_size);
    AlignedFloats dx_floats = naive::unwritten(x_size);
    upsample(s, naive::floats(x).data(), y_floats.data());
    upsample_backward(s, naive::floats(dy).data(), dx_floats.data());
    naive::expect_near(y_floats, y, 0.0);
    naive::expect_near(dx_floats, dx, 1e-6);
  }
}

}  // namespace
}  // namespace cosearch::kernels
