// Inside of vector_kernels.cpp: rows that stay in registers, and gradients by rows.
// Included once per instruction set: HWY_TARGET_TOGGLE flips in between, in place of a guard that is set once.
#if defined(COSEARCH_SHORT_ROWS_TOGGLE) == defined(HWY_TARGET_TOGGLE)
#ifdef COSEARCH_SHORT_ROWS_TOGGLE
#undef COSEARCH_SHORT_ROWS_TOGGLE
#else
#define COSEARCH_SHORT_ROWS_TOGGLE
#endif

#include <cstdint>

#include "trainer/kernels/softmax/exponential-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace cosearch::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Sums or maxima of v[0], ..., v[count - 1] in a tree.
template <int count, class Operation>
HWY_INLINE Vector folded(const Vector* v, Operation operation) {
  if constexpr (count == 1) {
    return v[0];
  } else {
    constexpr int kHalf = count / 2;
    return operation(folded<kHalf>(v, operation), folded<count - kHalf>(v + kHalf, operation));
  }
}

/// `together` rows of `vectors` vectors, the last one perhaps in part, that stay in registers from load to store.
template <int vectors, int together>
HWY_INLINE void rows_in_registers(std::int64_t columns, float scale, const float* x, float* y) {
  const std::int64_t width = lanes();
  const std::int64_t full = (vectors - 1) * width;
  Vector v[together][vectors];
  Vector factor[together];
  for (int r = 0; r < together; ++r) {
    for (int k = 0; k + 1 < vectors; ++k) {
      v[r][k] = hn::LoadU(Tag(), x + r * columns + k * width);
    }
    v[r][vectors - 1] = load_first(x + r * columns + full, columns - full);
    const auto larger = [](Vector a, Vector b) HWY_ATTR { return hn::Max(a, b); };
    factor[r] = hn::MaxOfLanes(Tag(), hn::Max(folded<vectors>(v[r], larger), broadcast(kLowest)));
  }
  for (int k = 0; k < vectors; ++k) {
    for (int r = 0; r < together; ++r) {
      v[r][k] = exponential(hn::Mul(broadcast(scale), hn::Sub(v[r][k], factor[r])));
    }
  }
  for (int r = 0; r < together; ++r) {
    const auto sum = [](Vector a, Vector b) HWY_ATTR { return hn::Add(a, b); };
    factor[r] = hn::Div(broadcast(1.0F), hn::SumOfLanes(Tag(), folded<vectors>(v[r], sum)));
  }
  for (int r = 0; r < together; ++r) {
    for (int k = 0; k + 1 < vectors; ++k) {
      hn::StoreU(hn::Mul(v[r][k], factor[r]), Tag(), y + r * columns + k * width);
    }
    store_first(hn::Mul(v[r][vectors - 1], factor[r]), y + r * columns + full, columns - full);
  }
}

template <int vectors>
void short_rows_of(std::int64_t rows, std::int64_t columns, float scale, const float* x, float* y) {
  // A row is a chain of two reductions over the lanes: rows side by side hide each other's latency, as far as the
  // registers reach.
  constexpr int kTogether = HWY_TARGET != HWY_AVX3 ? 1 : vectors <= 4 ? 4 : 2;
  std::int64_t r = 0;
  for (; r + kTogether <= rows; r += kTogether) {
    rows_in_registers<vectors, kTogether>(columns, scale, x + r * columns, y + r * columns);
  }
  for (; r < rows; ++r) {
    rows_in_registers<vectors, 1>(columns, scale, x + r * columns, y + r * columns);
  }
}

/// Calls body(place, load, store) for each vector of a row, the last one perhaps in part.
template <class Body>
HWY_INLINE void for_vectors_of_row(std::int64_t columns, Body body) {
  const std::int64_t width = lanes();
  std::int64_t i = 0;
  for (; i + width <= columns; i += width) {
    body(
        i, [](const float* p) HWY_ATTR { return hn::LoadU(Tag(), p); },
        [](Vector v, float* p) HWY_ATTR { hn::StoreU(v, Tag(), p); });
  }
  if (const std::int64_t rest = columns - i; rest > 0) {
    body(
        i, [rest](const float* p) HWY_ATTR { return load_first(p, rest, 0.0F); },
        [rest](Vector v, float* p) HWY_ATTR { store_first(v, p, rest); });
  }
}

inline void rows_backward(std::int64_t rows, std::int64_t columns, float scale, const float* y, const float* dy,
                          float* dx) {
  for (std::int64_t r = 0; r < rows; ++r, y += columns, dy += columns, dx += columns) {
    Vector product = hn::Zero(Tag());
    for_vectors_of_row(columns, [&](std::int64_t i, auto load, auto)
                                    HWY_ATTR { product = hn::MulAdd(load(y + i), load(dy + i), product); });
    const Vector mean = hn::SumOfLanes(Tag(), product);
    for_vectors_of_row(columns, [&](std::int64_t i, auto load, auto store) HWY_ATTR {
      store(hn::Mul(hn::Mul(broadcast(scale), load(y + i)), hn::Sub(load(dy + i), mean)), dx + i);
    });
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cosearch::kernels
HWY_AFTER_NAMESPACE();

#endif  // the toggled guard
