#ifndef CS_DOT_H
#define CS_DOT_H

#include "cs_arithmetic.h"

#if defined(CS_DSP)

/* Sums of products with int4 are 16 times as large, see cs_load_weights: they start at 0, and what they are added to
 * comes in at the end. */
CS_INLINE int32_t cs_start(int32_t sum, int32_t bits) { return bits == 8 ? sum : 0; }
CS_INLINE int32_t cs_end(int32_t products, int32_t sum, int32_t bits) {
  return bits == 8 ? products : (products >> 4) + sum;
}

/* Four elements from `k` of `rows` rows of x and `channels` channels of w, whose beginnings are given;
 * sums [rows][channels]. The last elements that are no four come as the last four of which the first `drop` bits are
 * shifted out. */
CS_INLINE void cs_step(int32_t rows, int32_t channels, const int8_t* x, const int8_t* x1, const int8_t* const w[4],
                       int32_t k, int32_t bits, int32_t drop, int32_t sums[4]) {
  uint32_t even0 = cs_load4(x + k) >> drop, even1 = rows > 1 ? cs_load4(x1 + k) >> drop : 0;
  const uint32_t odd0 = cs_odd_bytes(even0), odd1 = cs_odd_bytes(even1);
  even0 = cs_even_bytes(even0);
  even1 = cs_even_bytes(even1);
#pragma GCC unroll 4
  for (int32_t c = 0; c < channels; ++c) {
    uint32_t even, odd;
    cs_load_weights(w[c], k, bits, drop, &even, &odd);
    sums[c] = cs_multiply_pairs(odd0, odd, cs_multiply_pairs(even0, even, sums[c]));
    if (rows > 1) {
      sums[channels + c] = cs_multiply_pairs(odd1, odd, cs_multiply_pairs(even1, even, sums[channels + c]));
    }
  }
}

#endif

/* Adds to `sums`, [rows][channels], the products of `rows` (1 or 2) rows of x with `channels` (up to 4) output channels
 * of w that are `stride` bytes apart: each operand, once loaded and widened, is used for all. Callers give constants
 * for rows, channels and bits, and at most four sums, so that all of it stays in registers. */
CS_INLINE void cs_dot(int32_t rows, int32_t channels, int32_t bits, int32_t count, const int8_t* x0, const int8_t* x1,
                      const int8_t* weight, int32_t stride, int32_t sums[4]) {
  const int8_t* const w[4] = {weight, weight + (channels > 1 ? stride : 0), weight + (channels > 2 ? 2 * stride : 0),
                              weight + (channels > 3 ? 3 * stride : 0)};
  int32_t k = 0;
#if defined(CS_DSP)
  int32_t products[4] = {cs_start(sums[0], bits), cs_start(sums[1], bits), cs_start(sums[2], bits),
                         cs_start(sums[3], bits)};
  for (; k + 4 <= count; k += 4) {
    cs_step(rows, channels, x0, x1, w, k, bits, 0, products);
  }
  if (bits == 8 && k < count && count >= 4) {
    cs_step(rows, channels, x0, x1, w, count - 4, bits, 8 * (4 - (count - k)), products);
    k = count;
  }
#pragma GCC unroll 4
  for (int32_t i = 0; i < rows * channels; ++i) {
    sums[i] = cs_end(products[i], sums[i], bits);
  }
#endif
  for (; k < count; ++k) {
#pragma GCC unroll 4
    for (int32_t c = 0; c < channels; ++c) {
      const int32_t a = cs_weight(w[c], k, bits);
      sums[c] += x0[k] * a;
      if (rows > 1) {
        sums[channels + c] += x1[k] * a;
      }
    }
  }
}

/* sums[j] = products of x with row j of w, of `count` elements; rows are `stride` bytes apart. */
CS_INLINE void cs_dot_rows(int32_t rows, int32_t count, const int8_t* x, const int8_t* w, int32_t stride,
                           int32_t* sums) {
  int32_t j = 0;
  for (; j + 4 <= rows; j += 4, w += 4 * stride) {
    int32_t four[4] = {0, 0, 0, 0};
    cs_dot(1, 4, 8, count, x, x, w, stride, four);
    memcpy(sums + j, four, sizeof four);
  }
  for (; j < rows; ++j, w += stride) {
    int32_t one[4] = {0, 0, 0, 0};
    cs_dot(1, 1, 8, count, x, x, w, stride, one);
    sums[j] = one[0];
  }
}

#endif
