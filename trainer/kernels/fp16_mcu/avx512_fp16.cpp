// Compiled for AVX512-FP16 whatever the rest of the build is for: no header here may define inline functions that other
// files use.
#include <immintrin.h>

#include "trainer/kernels/fp16_mcu/engine.hpp"

namespace cosearch::kernels::fp16_mcu {
namespace {

__mmask16 first(std::int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xFFFFU : (1U << static_cast<unsigned>(count)) - 1U);
}

/// y[j] = sum[j], or y[j] + sum[j] in fp16, for the first `count` of 16.
void store(__m256i sum, bool adds, std::int64_t count, float* y) {
  const __mmask16 mask = first(count);
  if (adds) {
    const __m256h before =
        _mm256_castsi256_ph(_mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, y), _MM_FROUND_TO_NEAREST_INT));
    sum = _mm256_castph_si256(_mm256_add_ph(before, _mm256_castsi256_ph(sum)));
  }
  _mm512_mask_storeu_ps(y, mask, _mm512_cvtph_ps(sum));
}

void convert(std::int64_t count, const float* x, Half* out) {
  for (std::int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = first(count - i);
    const __m256i halves = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, x + i), _MM_FROUND_TO_NEAREST_INT);
    _mm256_mask_storeu_epi16(out + i, mask, halves);
  }
}

__m512h broadcast_pair(const Half* pair) {
  int bits;
  __builtin_memcpy(&bits, pair, sizeof bits);
  return _mm512_castsi512_ph(_mm512_set1_epi32(bits));
}

/// A tile of `rows` rows and `panels` panels, of which `valid` rows and `columns` columns are stored. Rows behind the
/// valid ones repeat the last. Each accumulator holds 16 columns and both lanes of each.
template <int rows, int panels>
void tile(const Product<Half>& p, std::int64_t row, std::int64_t valid, std::int64_t panel) {
  __m512h sum[rows][panels];
  const Half* a[rows];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    a[r] = p.a + 2 * (row + (r < valid ? r : valid - 1)) * p.row_stride;
#pragma GCC unroll 4
    for (int v = 0; v < panels; ++v) {
      sum[r][v] = _mm512_setzero_ph();
    }
  }
  const std::int64_t panel_size = 2 * kPanel * p.pairs;
  const Half* b = p.b + panel * panel_size;
  for (std::int64_t l = 0; l < p.pairs; ++l, b += 2 * kPanel) {
    __m512h columns[panels];
#pragma GCC unroll 4
    for (int v = 0; v < panels; ++v) {
      columns[v] = _mm512_loadu_ph(b + v * panel_size);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const __m512h pair = broadcast_pair(a[r] + 2 * l * p.pair_stride);
#pragma GCC unroll 4
      for (int v = 0; v < panels; ++v) {
        sum[r][v] = _mm512_fmadd_ph(pair, columns[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
    if (r >= valid) {
      break;
    }
#pragma GCC unroll 4
    for (int v = 0; v < panels; ++v) {
      const __m512h second = _mm512_castsi512_ph(_mm512_srli_epi32(_mm512_castph_si512(sum[r][v]), 16));
      const __m512i both = _mm512_castph_si512(_mm512_add_ph(sum[r][v], second));
      const std::int64_t column = (panel + v) * kPanel;
      store(_mm512_cvtepi32_epi16(both), p.adds, p.n - column, p.c + (row + r) * p.ldc + column);
    }
  }
}

template <int rows, int panels>
void all_rows(const Product<Half>& p, std::int64_t panel) {
  for (std::int64_t row = 0; row < p.m; row += rows) {
    tile<rows, panels>(p, row, p.m - row < rows ? p.m - row : rows, panel);
  }
}

/// Tiles of at most 24 accumulators, which leaves registers for the operands.
void product(const Product<Half>& p) {
  const std::int64_t panels = (p.n + kPanel - 1) / kPanel;
  std::int64_t panel = 0;
  for (; panel + 4 <= panels; panel += 4) {
    all_rows<6, 4>(p, panel);
  }
  for (; panel + 2 <= panels; panel += 2) {
    all_rows<12, 2>(p, panel);
  }
  if (panel < panels) {
    all_rows<12, 1>(p, panel);
  }
}

void column_products(const ColumnProducts<Half>& p) {
  for (std::int64_t j = 0; j < p.columns; j += 32) {
    const __mmask32 mask = p.columns - j >= 32 ? 0xFFFFFFFFU : (1U << static_cast<unsigned>(p.columns - j)) - 1U;
    const auto load = [mask](const Half* x) { return _mm512_castsi512_ph(_mm512_maskz_loadu_epi16(mask, x)); };
    __m512h even = _mm512_setzero_ph();
    __m512h odd = _mm512_setzero_ph();
    for (std::int64_t l = 0; l < p.inner; l += 2) {
      even = _mm512_fmadd_ph(load(p.a[l] + j), load(p.b + l * p.ldb + j), even);
      odd = _mm512_fmadd_ph(load(p.a[l + 1] + j), load(p.b + (l + 1) * p.ldb + j), odd);
    }
    const __m512i sum = _mm512_castph_si512(_mm512_add_ph(even, odd));
    store(_mm512_castsi512_si256(sum), p.adds, p.columns - j, p.y + j);
    if (p.columns - j > 16) {
      store(_mm512_extracti64x4_epi64(sum, 1), p.adds, p.columns - j - 16, p.y + j + 16);
    }
  }
}

}  // namespace

const Engine<Half>& avx512_fp16_engine() {
  static constexpr Engine<Half> kEngine{"avx512_fp16", convert, product, column_products};
  return kEngine;
}

}  // namespace cosearch::kernels::fp16_mcu
