#include <algorithm>

#include "trainer/kernels/activation_functions.hpp"
#include "trainer/kernels/kernels.hpp"

namespace cosearch::kernels {

void add_bias(std::int64_t rows, std::int64_t columns, const float* bias, float* y) {
  for (std::int64_t r = 0; r < rows; ++r, y += columns) {
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < columns; ++c) {
      y[c] += bias[c];
    }
  }
}

void bias_backward(std::int64_t rows, std::int64_t columns, const float* dy, float* db) {
  std::fill_n(db, columns, 0.0F);
  for (std::int64_t r = 0; r < rows; ++r, dy += columns) {
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < columns; ++c) {
      db[c] += dy[c];
    }
  }
}

void add(std::int64_t count, const float* a, const float* b, float* y) {
  COSEARCH_INDEPENDENT_ITERATIONS
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] = a[i] + b[i];
  }
}

void activation(Activation kind, std::int64_t count, const float* x, float* y) {
  for_activation(kind, [&]<Activation k>() {
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t i = 0; i < count; ++i) {
      y[i] = activate<k>(x[i]);
    }
  });
}

void activation_backward(Activation kind, std::int64_t count, const float* x, const float* dy, float* dx) {
  for_activation(kind, [&]<Activation k>() {
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t i = 0; i < count; ++i) {
      dx[i] = slope<k>(x[i]) * dy[i];
    }
  });
}

}  // namespace cosearch::kernels
