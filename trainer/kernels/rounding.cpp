#include <algorithm>
#include <cmath>

#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {

void round_to_int8(std::int64_t count, float scale, float zero_point, float* x) {
  const float reciprocal = 1.0F / scale;
  const float lowest = -128.0F - zero_point;
  const float highest = 127.0F - zero_point;
  COSEARCH_INDEPENDENT_ITERATIONS
  for (std::int64_t i = 0; i < count; ++i) {
    const float steps = std::floor(x[i] * reciprocal + 0.5F);
    const float above = steps < lowest ? lowest : steps;  // NaN passes through, so that a divergence is seen
    x[i] = (above > highest ? highest : above) * scale;
  }
}

void round_columns(std::int64_t rows, std::int64_t columns, float steps, const float* w, float* y, float* largest) {
  std::fill_n(largest, columns, 0.0F);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = w + r * columns;
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < columns; ++c) {
      const float magnitude = std::abs(row[c]);
      largest[c] = magnitude > largest[c] ? magnitude : largest[c];
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = w + r * columns;
    float* rounded = y + r * columns;
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < columns; ++c) {
      const float reciprocal = largest[c] > 0.0F ? steps / largest[c] : 0.0F;
      rounded[c] = std::floor(row[c] * reciprocal + 0.5F) * (largest[c] / steps);
    }
  }
}

}  // namespace cosearch::kernels
