#ifndef CS_ARITHMETIC_H
#define CS_ARITHMETIC_H

#include <string.h>

#include "cs_kernels.h"

/* What the int8 kernels share: clamps, loads, DSP instructions and requantisation. */

/* gcc for microcontrollers does not inline these by itself at all levels; every loop below depends on it. */
#if defined(__GNUC__)
#define CS_INLINE static inline __attribute__((always_inline, unused))
#define CS_NOINLINE static __attribute__((noinline)) /* where the registers belong to one loop alone */
#else
#define CS_INLINE static inline
#define CS_NOINLINE static
#endif

CS_INLINE int32_t cs_minimum(int32_t a, int32_t b) { return a < b ? a : b; }
CS_INLINE int32_t cs_maximum(int32_t a, int32_t b) { return a > b ? a : b; }

CS_INLINE int32_t cs_clamp(int32_t value, int32_t low, int32_t high) {
  return cs_minimum(cs_maximum(value, low), high);
}

/* ARMv5TE and big-endian cores have DSP instructions, too, but not these or not in this order of bytes. */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_BIG_ENDIAN)

#define CS_DSP 1

/* The dot products fill the registers. Scheduling before their allocation would lengthen lives and spill, which takes a
 * quarter more instructions on these in-order cores. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

/* One load from any address: ARMv7E-M reads unaligned words. */
CS_INLINE uint32_t cs_load4(const int8_t* from) {
  uint32_t word;
  memcpy(&word, from, 4);
  return word;
}

/* Bytes 0 and 2 as two int16. */
CS_INLINE uint32_t cs_even_bytes(uint32_t word) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
}
/* Bytes 1 and 3 as two int16; gcc 12 does not fold a rotation into the instruction. */
CS_INLINE uint32_t cs_odd_bytes(uint32_t word) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}

/* sum + a's low half * b's low half + high half * high half. */
CS_INLINE int32_t cs_multiply_pairs(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}
/* sum + a's low or high half * b's low half. */
CS_INLINE int32_t cs_multiply_low(uint32_t a, int32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}
CS_INLINE int32_t cs_multiply_high(uint32_t a, int32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* Four weights as two pairs of int16 in the order of cs_even_bytes and cs_odd_bytes; int4 come out 16 times as large,
 * in the high half of a byte, which saves extending their sign. The first `drop` bits of int8 are shifted out. */
CS_INLINE void cs_load_weights(const int8_t* weight, int32_t index, int32_t bits, int32_t drop, uint32_t* even,
                               uint32_t* odd) {
  if (bits == 8) {
    const uint32_t word = cs_load4(weight + index) >> drop;
    *even = cs_even_bytes(word);
    *odd = cs_odd_bytes(word);
  } else {
    uint16_t nibbles;
    memcpy(&nibbles, weight + index / 2, 2);
    const uint32_t spread = ((uint32_t)nibbles | ((uint32_t)nibbles << 8)) & 0x00FF00FFu; /* bytes 0 and 2 */
    *even = cs_even_bytes(spread << 4);
    *odd = cs_even_bytes(spread & 0x00F000F0u);
  }
}

CS_INLINE int32_t cs_saturate8(int32_t value) {
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
  return result;
}

/* Requantisation with a shift of 33 to 54, as nearly all layers have: neither the rounding nor the zero point, moved to
 * the left of the shift, has bits in the low word of the product, so that one instruction multiplies and adds both. No
 * overflow: the high word of a product is at most 2^30, the zero point at most 2^7 * 2^22. */
typedef struct {
  int32_t start; /* rounding and zero point in the high word */
  int32_t shift; /* of the high word */
} cs_quick_output;

CS_INLINE int cs_is_quick(int32_t shift) { return shift > 32 && shift <= 54; }
CS_INLINE cs_quick_output cs_quick(int32_t shift, int32_t zero_point) {
  const cs_quick_output quick = {(int32_t)(1u << (shift - 33)) + zero_point * (int32_t)(1u << (shift - 32)),
                                 shift - 32};
  return quick;
}
CS_INLINE int8_t cs_requantize_quick(int32_t sum, int32_t multiplier, const cs_quick_output* quick) {
  int32_t high;
  __asm__("smmla %0, %1, %2, %3" : "=r"(high) : "r"(sum), "r"(multiplier), "r"(quick->start));
  return (int8_t)cs_saturate8(high >> quick->shift);
}

#else

CS_INLINE int32_t cs_saturate8(int32_t value) { return cs_clamp(value, -128, 127); }

#endif

/* Weight `index` of an output channel. */
CS_INLINE int32_t cs_weight(const int8_t* weight, int32_t index, int32_t bits) {
  if (bits == 8) {
    return weight[index];
  }
  const int32_t both = weight[index >> 1];
  return (index & 1) != 0 ? both >> 4 : (int32_t)(((uint32_t)both & 15u) ^ 8u) - 8;
}

CS_INLINE int32_t cs_weight_bytes(int32_t count, int32_t bits) { return bits == 8 ? count : (count + 1) / 2; }

/* R of the formulas, with zero_point added, limited to int8. */
CS_INLINE int8_t cs_requantize(int32_t sum, int32_t multiplier, int32_t shift, int32_t zero_point) {
  const int64_t product = (int64_t)sum * multiplier + ((int64_t)1 << (shift - 1));
  return (int8_t)cs_saturate8((int32_t)(product >> shift) + zero_point);
}

/* ((sum + rounding) >> shift) + zero_point in 32 bits, limited to int8. */
CS_INLINE int8_t cs_rescale(int32_t sum, int32_t shift, int32_t zero_point) {
  return (int8_t)cs_saturate8(((sum + (int32_t)(1u << (shift - 1))) >> shift) + zero_point);
}

/* Of softmax: 2^-(R(below, multiplier) / 2^10) in Q15, 0 from 2^-16 on; below >= 0. The fraction f by
 * 1 - f * (a - f * (b - f * c)). */
CS_INLINE int32_t cs_exponential(int32_t below, int32_t multiplier, int32_t shift) {
  const int64_t whole = ((int64_t)below * multiplier + ((int64_t)1 << (shift - 1))) >> shift;
  if (whole >= (16 << 10)) {
    return 0;
  }
  const int32_t exponent = (int32_t)whole;
  const int32_t f = (exponent & 1023) << 5;
  const int32_t inner = 7612 - ((f * 1324) >> 15);
  const int32_t outer = 22675 - ((f * inner) >> 15);
  return (32768 - ((f * outer) >> 15)) >> (exponent >> 10);
}

/* F on values that are limited to int8 already: most layers need nothing more. */
CS_INLINE void cs_finish(const cs_output* output, int32_t count, int8_t* values) {
  if (output->table != 0 || output->low > -128 || output->high < 127) {
    cs_activation(output, count, values, values);
  }
}

#endif
