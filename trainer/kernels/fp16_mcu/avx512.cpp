// Compiled for AVX-512 whatever the rest of the build is for; see avx512_fp16.cpp.
#include <immintrin.h>

#include "trainer/kernels/fp16_mcu/engine.hpp"

namespace cosearch::kernels::fp16_mcu {
namespace {

struct Simd {
  using Vector = __m512;
  static constexpr int kWidth = 16;
  static constexpr int kRows = 8;  // 16 sums of 32 registers; divides what m often is

  static Vector broadcast(float x) { return _mm512_set1_ps(x); }
  static Vector broadcast_pair(const float* pair) {
    double bits;
    __builtin_memcpy(&bits, pair, sizeof bits);
    return _mm512_castpd_ps(_mm512_set1_pd(bits));
  }
  static Vector load(const float* x) { return _mm512_loadu_ps(x); }
  static void store(Vector v, float* x) { _mm512_storeu_ps(x, v); }
  static __mmask16 first(std::int64_t count) {
    return static_cast<__mmask16>((1U << static_cast<unsigned>(count)) - 1U);
  }
  static Vector load_first(const float* x, std::int64_t count) { return _mm512_maskz_loadu_ps(first(count), x); }
  static void store_first(Vector v, float* x, std::int64_t count) { _mm512_mask_storeu_ps(x, first(count), v); }

  static Vector evens(Vector a, Vector b) { return _mm512_shuffle_ps(a, b, 0x88); }
  static Vector odds(Vector a, Vector b) { return _mm512_shuffle_ps(a, b, 0xDD); }
  static Vector sequence(Vector v) {
    return _mm512_castpd_ps(_mm512_permutexvar_pd(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_castps_pd(v)));
  }

  static Vector to_half(Vector v) { return _mm512_cvtph_ps(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT)); }
  static Vector fused(Vector a, Vector b, Vector c) {
    const Vector below = _mm512_fmadd_round_ps(a, b, c, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const Vector above = _mm512_fmadd_round_ps(a, b, c, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
    const __mmask16 odd = _mm512_test_epi32_mask(_mm512_castps_si512(below), _mm512_set1_epi32(1));
    return _mm512_mask_mov_ps(above, odd, below);
  }
};

}  // namespace
}  // namespace cosearch::kernels::fp16_mcu

#include "trainer/kernels/fp16_mcu/round_to_odd-inl.hpp"

namespace cosearch::kernels::fp16_mcu {

const Engine<float>& avx512_engine() {
  static constexpr Engine<float> kEngine{"avx512", convert, product_loops, column_products_loops};
  return kEngine;
}

}  // namespace cosearch::kernels::fp16_mcu
