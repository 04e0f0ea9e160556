#include <algorithm>
#include <cstring>
#include <type_traits>

#include "trainer/kernels/fp16_mcu/engine.hpp"
#include "trainer/kernels/fp16_mcu/round_to_half.hpp"

namespace cosearch::kernels::fp16_mcu {
namespace {

constexpr std::int64_t kLanes = 2 * kPanel;

void convert(std::int64_t count, const float* x, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = round_to_half(x[i]);
  }
}

/// a * b + c rounded once to fp16; see `portable_engine`.
struct Fp16Accumulation {
  static float multiply_add(float a, float b, float c) {
    return static_cast<float>(round_to_half(static_cast<double>(a) * static_cast<double>(b) + static_cast<double>(c)));
  }
};
/// Rounded once to fp32, because the product is exact.
struct Fp32Accumulation {
  static float multiply_add(float a, float b, float c) { return a * b + c; }
};

/// Sums of two fp16 numbers are rounded once, because fp32 has more than twice fp16's bits and two.
inline float finished(float even, float odd, bool adds, float before) {
  const float sum = round_to_half(even + odd);
  return adds ? round_to_half(before + sum) : sum;
}

inline void store(const float* sums, std::int64_t columns, bool adds, float* c) {
  if (columns == kPanel && !adds) {  // vector operations
    for (std::int64_t j = 0; j < kPanel; ++j) {
      c[j] = finished(sums[2 * j], sums[2 * j + 1], false, 0.0F);
    }
    return;
  }
  for (std::int64_t j = 0; j < columns; ++j) {
    c[j] = finished(sums[2 * j], sums[2 * j + 1], adds, c[j]);
  }
}

/// Row by row: the arithmetic takes so long that loads do not matter.
void fp16_product(const Product<float>& p) {
  for (std::int64_t first = 0; first < p.n; first += kPanel) {
    for (std::int64_t row = 0; row < p.m; ++row) {
      const float* pair = p.a + 2 * row * p.row_stride;
      const float* b = p.b + 2 * first * p.pairs;
      float sums[kLanes] = {};
      for (std::int64_t l = 0; l < p.pairs; ++l, b += kLanes, pair += 2 * p.pair_stride) {
        float operand[kLanes];
        for (std::int64_t s = 0; s < kLanes; s += 2) {
          operand[s] = pair[0];
          operand[s + 1] = pair[1];
        }
        for (std::int64_t s = 0; s < kLanes; ++s) {
          sums[s] = Fp16Accumulation::multiply_add(operand[s], b[s], sums[s]);
        }
      }
      store(sums, std::min(kPanel, p.n - first), p.adds, p.c + row * p.ldc + first);
    }
  }
}

// Vectors of the compiler, because it does not keep arrays of so many sums in registers.
using Vector = float __attribute__((vector_size(64)));
using Unaligned = float __attribute__((vector_size(64), aligned(4)));
using Pairs = std::int64_t __attribute__((vector_size(64)));
#ifdef __AVX512F__
constexpr int kRows = 12;  // 24 sums of 32 registers
#else
constexpr int kRows = 3;  // 12 sums of 16 registers of half the size
#endif

/// kRows rows of one panel, of which `valid` are stored; rows behind them repeat the last.
void fp32_tile(const Product<float>& p, std::int64_t row, std::int64_t valid, std::int64_t first) {
  Vector sum[kRows][2] = {};
  const float* a[kRows];
  for (int r = 0; r < kRows; ++r) {
    a[r] = p.a + 2 * (row + std::min<std::int64_t>(r, valid - 1)) * p.row_stride;
  }
  const float* b = p.b + 2 * first * p.pairs;
  for (std::int64_t l = 0; l < p.pairs; ++l, b += kLanes) {
    const Vector columns[2] = {*reinterpret_cast<const Unaligned*>(b), *reinterpret_cast<const Unaligned*>(b + kPanel)};
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      std::int64_t bits = 0;
      std::memcpy(&bits, a[r] + 2 * l * p.pair_stride, sizeof bits);
      const Pairs pairs{bits, bits, bits, bits, bits, bits, bits, bits};
      const auto operand = reinterpret_cast<Vector>(pairs);
      sum[r][0] = operand * columns[0] + sum[r][0];
      sum[r][1] = operand * columns[1] + sum[r][1];
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    if (r >= valid) {
      break;
    }
    float sums[kLanes];
    std::memcpy(sums, sum[r], sizeof sums);
    store(sums, std::min(kPanel, p.n - first), p.adds, p.c + (row + r) * p.ldc + first);
  }
}

void fp32_product(const Product<float>& p) {
  for (std::int64_t first = 0; first < p.n; first += kPanel) {
    for (std::int64_t row = 0; row < p.m; row += kRows) {
      fp32_tile(p, row, std::min<std::int64_t>(kRows, p.m - row), first);
    }
  }
}

/// `count` of 16 columns; a compile-time constant makes its loops vector operations.
template <class Accumulation, class Count>
void column_block(const ColumnProducts<float>& p, std::int64_t first, Count count) {
  float even[kPanel] = {};
  float odd[kPanel] = {};
  for (std::int64_t l = 0; l < p.inner; l += 2) {
    const float* const a[2] = {p.a[l] + first, p.a[l + 1] + first};
    const float* const b[2] = {p.b + l * p.ldb + first, p.b + (l + 1) * p.ldb + first};
    for (std::int64_t j = 0; j < count; ++j) {
      even[j] = Accumulation::multiply_add(a[0][j], b[0][j], even[j]);
      odd[j] = Accumulation::multiply_add(a[1][j], b[1][j], odd[j]);
    }
  }
  float* y = p.y + first;
  for (std::int64_t j = 0; j < count; ++j) {
    y[j] = finished(even[j], odd[j], p.adds, y[j]);
  }
}

template <class Accumulation>
void column_products(const ColumnProducts<float>& p) {
  std::int64_t first = 0;
  for (; first + kPanel <= p.columns; first += kPanel) {
    column_block<Accumulation>(p, first, std::integral_constant<std::int64_t, kPanel>{});
  }
  if (first < p.columns) {
    column_block<Accumulation>(p, first, p.columns - first);
  }
}

}  // namespace

const Engine<float>& portable_engine() {
  static constexpr Engine<float> kEngine{"portable", convert, fp16_product, column_products<Fp16Accumulation>};
  return kEngine;
}

const Engine<float>& fp32_accumulating_engine() {
  static constexpr Engine<float> kEngine{"portable", convert, fp32_product, column_products<Fp32Accumulation>};
  return kEngine;
}

}  // namespace cosearch::kernels::fp16_mcu
