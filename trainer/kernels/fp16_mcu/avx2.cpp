// Compiled for AVX2, FMA and F16C whatever the rest of the build is for; see avx512_fp16.cpp.
#include <immintrin.h>

#include "trainer/kernels/fp16_mcu/engine.hpp"

namespace cosearch::kernels::fp16_mcu {
namespace {

struct Simd {
  using Vector = __m256;
  static constexpr int kWidth = 8;
  static constexpr int kRows = 5;  // 10 sums of 16 registers

  static Vector broadcast(float x) { return _mm256_set1_ps(x); }
  static Vector broadcast_pair(const float* pair) {
    double bits;
    __builtin_memcpy(&bits, pair, sizeof bits);
    return _mm256_castpd_ps(_mm256_set1_pd(bits));
  }
  static Vector load(const float* x) { return _mm256_loadu_ps(x); }
  static void store(Vector v, float* x) { _mm256_storeu_ps(x, v); }
  static __m256i first(std::int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Vector load_first(const float* x, std::int64_t count) { return _mm256_maskload_ps(x, first(count)); }
  static void store_first(Vector v, float* x, std::int64_t count) { _mm256_maskstore_ps(x, first(count), v); }

  static Vector evens(Vector a, Vector b) { return _mm256_shuffle_ps(a, b, 0x88); }
  static Vector odds(Vector a, Vector b) { return _mm256_shuffle_ps(a, b, 0xDD); }
  static Vector sequence(Vector v) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xD8)); }

  static Vector to_half(Vector v) { return _mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT)); }
  /// While this thread rounds down: a sum rounded up is minus its negative rounded down.
  static Vector fused(Vector a, Vector b, Vector c) {
    const Vector below = _mm256_fmadd_ps(a, b, c);
    const Vector above = _mm256_xor_ps(_mm256_fnmsub_ps(a, b, c), _mm256_set1_ps(-0.0F));
    const __m256i odd = _mm256_slli_epi32(_mm256_castps_si256(below), 31);  // the sign chooses
    return _mm256_blendv_ps(above, below, _mm256_castsi256_ps(odd));
  }
};

}  // namespace
}  // namespace cosearch::kernels::fp16_mcu

#include "trainer/kernels/fp16_mcu/round_to_odd-inl.hpp"

namespace cosearch::kernels::fp16_mcu {
namespace {

/// Not inlined, so that no operation is moved to where another mode rules.
template <class Call>
[[gnu::noinline]] void apart(void (*loops)(const Call& call), const Call& call) {
  loops(call);
}

template <class Call>
void rounding_down(void (*loops)(const Call& call), const Call& call) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr((before & ~static_cast<unsigned>(_MM_ROUND_MASK)) | _MM_ROUND_DOWN);
  apart(loops, call);
  _mm_setcsr(before);
}

void product(const Product<float>& p) { rounding_down(product_loops, p); }
void column_products(const ColumnProducts<float>& p) { rounding_down(column_products_loops, p); }

}  // namespace

const Engine<float>& avx2_engine() {
  static constexpr Engine<float> kEngine{"avx2", convert, product, column_products};
  return kEngine;
}

}  // namespace cosearch::kernels::fp16_mcu
