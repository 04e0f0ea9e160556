#include <algorithm>
#include <cmath>
#include <cstring>

#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {
namespace {

constexpr std::int64_t kLanes = 16;
/// The compiler's own vectors: it sums arrays of lanes element by element where a row's end is not known.
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

Lanes load(const float* p) {
  Lanes v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

/// The first `count` floats at p, and `others` in the other lanes.
Lanes load_first(const float* p, std::int64_t count, float others) {
  Lanes v = Lanes{} + others;
  for (std::int64_t i = 0; i < count; ++i) {
    v[i] = p[i];
  }
  return v;
}

/// Sum of the lanes in a fixed tree.
float sum_of(const Lanes& v) {
  const auto eight = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                     __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto four =
      __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  return (four[0] + four[2]) + (four[1] + four[3]);
}

/// Sum of term(element) over the columns, in an order that depends on their number alone. term(others) == 0.
template <class Term>
float column_sum(std::int64_t columns, const float* x, float others, const Term& term) {
  // Four chains: an addition takes several cycles, and a row has few of them.
  Lanes a{}, b{}, c{}, d{};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= columns; i += 4 * kLanes) {
    a += term(load(x + i));
    b += term(load(x + i + kLanes));
    c += term(load(x + i + 2 * kLanes));
    d += term(load(x + i + 3 * kLanes));
  }
  for (; i + kLanes <= columns; i += kLanes) {
    a += term(load(x + i));
  }
  if (i < columns) {
    b += term(load_first(x + i, columns - i, others));
  }
  return sum_of((a + b) + (c + d));
}

/// What a row's gradient needs beside its elements.
struct RowGradient {
  float mean, reciprocal;             // of the forward pass
  float mean_gradient, mean_product;  // means of g and of g * normalised, g = dy * scale
};

RowGradient row_gradient(std::int64_t columns, const float* x, const float* scale, const float* saved,
                         const float* dy) {
  const float mean = saved[0];
  const float reciprocal = saved[1];
  Lanes gradients[2] = {};
  Lanes products[2] = {};
  const auto add = [&](const Lanes& value, const Lanes& factor, const Lanes& gradient, std::int64_t chain) {
    const Lanes g = gradient * factor;
    gradients[chain] += g;
    products[chain] += g * ((value - mean) * reciprocal);
  };
  std::int64_t c = 0;
  for (; c + 2 * kLanes <= columns; c += 2 * kLanes) {
    add(load(x + c), load(scale + c), load(dy + c), 0);
    add(load(x + c + kLanes), load(scale + c + kLanes), load(dy + c + kLanes), 1);
  }
  for (; c < columns; c += kLanes) {
    const std::int64_t count = std::min(kLanes, columns - c);
    add(load_first(x + c, count, 0.0F), load_first(scale + c, count, 0.0F), load_first(dy + c, count, 0.0F), 0);
  }
  const float share = 1.0F / static_cast<float>(columns);
  return {mean, reciprocal, share * sum_of(gradients[0] + gradients[1]), share * sum_of(products[0] + products[1])};
}

}  // namespace

void layer_norm(std::int64_t rows, std::int64_t columns, float epsilon, const float* x, const float* scale,
                const float* shift, float* y, float* saved) {
  const float share = 1.0F / static_cast<float>(columns);
  for (std::int64_t r = 0; r < rows; ++r, x += columns, y += columns, saved += 2) {
    const float mean = share * column_sum(columns, x, 0.0F, [](const Lanes& v) { return v; });
    const float variance =
        share * column_sum(columns, x, mean, [mean](const Lanes& v) { return (v - mean) * (v - mean); });
    const float reciprocal = 1.0F / std::sqrt(variance + epsilon);
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < columns; ++c) {
      y[c] = multiply_add((x[c] - mean) * reciprocal, scale[c], shift[c]);
    }
    saved[0] = mean;
    saved[1] = reciprocal;
  }
}

void layer_norm_backward(std::int64_t rows, std::int64_t columns, const float* x, const float* scale,
                         const float* saved, const float* dy, float* dx, float* dscale, float* dshift) {
  std::fill_n(dscale, columns, 0.0F);
  std::fill_n(dshift, columns, 0.0F);
  // Two rows at once, so that the sums over the rows are read and written half as often.
  for (std::int64_t r = 0; r < rows; r += 2) {
    const bool pair = r + 1 < rows;
    const RowGradient a = row_gradient(columns, x, scale, saved, dy);
    const float* const next_x = pair ? x + columns : x;
    const float* const next_dy = pair ? dy + columns : dy;
    const RowGradient b = pair ? row_gradient(columns, next_x, scale, saved + 2, next_dy) : a;
    // A row without a partner is its own, and counts once.
    const float next = pair ? 1.0F : 0.0F;
    float* const next_dx = pair ? dx + columns : dx;
    COSEARCH_INDEPENDENT_ITERATIONS
    for (std::int64_t c = 0; c < columns; ++c) {
      const float normalised = (x[c] - a.mean) * a.reciprocal;
      const float next_normalised = (next_x[c] - b.mean) * b.reciprocal;
      const float gradient = dy[c];
      const float next_gradient = next_dy[c];
      dscale[c] = multiply_add(next * next_gradient, next_normalised, multiply_add(gradient, normalised, dscale[c]));
      dshift[c] = multiply_add(next, next_gradient, dshift[c] + gradient);
      dx[c] = a.reciprocal * (gradient * scale[c] - a.mean_gradient - normalised * a.mean_product);
      next_dx[c] = b.reciprocal * (next_gradient * scale[c] - b.mean_gradient - next_normalised * b.mean_product);
    }
    x += 2 * columns;
    dy += 2 * columns;
    dx += 2 * columns;
    saved += 4;
  }
}

}  // namespace cosearch::kernels
