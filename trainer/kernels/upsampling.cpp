#include <algorithm>

#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {

void upsample(const UpsampleShape& shape, const float* x, float* y) {
  const std::int64_t row = shape.factor * shape.width * shape.channels;
  for (std::int64_t line = 0; line < shape.batch * shape.height; ++line) {
    float* first = y;
    for (std::int64_t ix = 0; ix < shape.width; ++ix, x += shape.channels) {
      for (std::int64_t copy = 0; copy < shape.factor; ++copy) {
        y = std::copy_n(x, shape.channels, y);
      }
    }
    for (std::int64_t copy = 1; copy < shape.factor; ++copy) {
      y = std::copy_n(first, row, y);
    }
  }
}

void upsample_backward(const UpsampleShape& shape, const float* dy, float* dx) {
  std::fill_n(dx, shape.batch * shape.height * shape.width * shape.channels, 0.0F);
  for (std::int64_t line = 0; line < shape.batch * shape.height; ++line, dx += shape.width * shape.channels) {
    for (std::int64_t copy = 0; copy < shape.factor; ++copy) {
      for (std::int64_t ox = 0; ox < shape.factor * shape.width; ++ox, dy += shape.channels) {
        float* sum = dx + ox / shape.factor * shape.channels;
        COSEARCH_INDEPENDENT_ITERATIONS
        for (std::int64_t c = 0; c < shape.channels; ++c) {
          sum[c] += dy[c];
        }
      }
    }
  }
}

}  // namespace cosearch::kernels
