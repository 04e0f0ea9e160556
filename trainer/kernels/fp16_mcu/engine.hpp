#pragma once

#include <cstdint>

/// The inner loops of the `fp16_mcu` arithmetic, once for each instruction set. What they compute is said in
/// `fp16_mcu_dense.hpp`; all engines of one arithmetic give the same bits. `Element` is the type of packed operands:
/// fp16 bits (Half) or fp16 numbers in floats.
namespace cosearch::kernels::fp16_mcu {

using Half = std::uint16_t;

/// Columns of a panel of b.
constexpr std::int64_t kPanel = 16;

/// c (m, n) = a b, or c + a b rounded to fp16. The inner index runs over pairs of elements, one for each lane.
template <class Element>
struct Product {
  std::int64_t m, n, pairs;
  const Element* a;  ///< elements 2l and 2l + 1 of row i at a + 2 * (i * row_stride + l * pair_stride)
  std::int64_t row_stride, pair_stride;
  const Element* b;  ///< (n / 16 rounded up, pairs, 16 columns, 2)
  float* c;
  std::int64_t ldc;
  bool adds;
};

/// y[j] = sum over l < inner of a[l][j] * b[l * ldb + j], or y[j] plus this, rounded to fp16. `inner` is even.
template <class Element>
struct ColumnProducts {
  std::int64_t columns, inner;
  const Element* const* a;
  const Element* b;
  std::int64_t ldb;
  float* y;
  bool adds;
};

template <class Element>
struct Engine {
  const char* name;
  /// Rounds to fp16.
  void (*convert)(std::int64_t count, const float* x, Element* out);
  void (*product)(const Product<Element>& call);
  void (*column_products)(const ColumnProducts<Element>& call);
};

/// x86's AVX512-FP16: built where the compiler knows it, to be called where the CPU has it.
const Engine<Half>& avx512_fp16_engine();
/// x86's AVX-512 (all of x86-64-v4) and AVX2 with FMA and F16C (all of x86-64-v3): fp32 sums rounded to odd and then to
/// fp16, see round_to_odd-inl.hpp.
const Engine<float>& avx512_engine();
const Engine<float>& avx2_engine();
/// Any CPU. A sum of an fp16 number and a product of two is computed in double precision and then rounded to fp16. That
/// is the exact sum rounded once: rounding to 53 bits before changes nothing. It can only happen where the sum's
/// highest bit is more than 52 places above its lowest. Products have at most 22 bits and are multiples of 2^-48,
/// numbers have 11 bits and are multiples of 2^-24. If the number is the larger by so much, the product is below 2^-26
/// and the number at least 2^4: it stays what it is, far from a tie. If the product is, it is above 2^28: infinite.
const Engine<float>& portable_engine();
/// Any CPU: accumulates in fp32.
const Engine<float>& fp32_accumulating_engine();

}  // namespace cosearch::kernels::fp16_mcu
