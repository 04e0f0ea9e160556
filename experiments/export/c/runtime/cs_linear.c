#include "cs_linear.h"

#if defined(CS_DSP)
/* Sums of products with int4 are 16 times as large, see cs_load_weights: they start at 0, and what they are added to
 * comes in at the end. */
CS_INLINE int32_t cs_start(int32_t sum, int32_t bits) { return bits == 8 ? sum : 0; }
CS_INLINE int32_t cs_end(int32_t products, int32_t sum, int32_t bits) {
  return bits == 8 ? products : (products >> 4) + sum;
}
#endif

/* Adds to `sums` the products of two rows of x with two output channels: each loaded and widened operand is used twice.
 * Order: (row 0, channel 0), (row 0, channel 1), (row 1, channel 0), (row 1, channel 1). */
CS_INLINE void cs_dot_2x2(int32_t count, const int8_t* x0, const int8_t* x1, const int8_t* w0, const int8_t* w1,
                          int32_t bits, int32_t sums[4]) {
  int32_t k = 0;
#if defined(CS_DSP)
  int32_t s00 = cs_start(sums[0], bits), s01 = cs_start(sums[1], bits);
  int32_t s10 = cs_start(sums[2], bits), s11 = cs_start(sums[3], bits);
  for (; k + 4 <= count; k += 4) {
    uint32_t even0 = cs_load4(x0 + k), even1 = cs_load4(x1 + k), even, odd;
    const uint32_t odd0 = cs_odd_bytes(even0), odd1 = cs_odd_bytes(even1);
    even0 = cs_even_bytes(even0);
    even1 = cs_even_bytes(even1);
    cs_load_weights(w0, k, bits, &even, &odd);
    s00 = cs_multiply_pairs(odd0, odd, cs_multiply_pairs(even0, even, s00));
    s10 = cs_multiply_pairs(odd1, odd, cs_multiply_pairs(even1, even, s10));
    cs_load_weights(w1, k, bits, &even, &odd);
    s01 = cs_multiply_pairs(odd0, odd, cs_multiply_pairs(even0, even, s01));
    s11 = cs_multiply_pairs(odd1, odd, cs_multiply_pairs(even1, even, s11));
  }
  sums[0] = cs_end(s00, sums[0], bits), sums[1] = cs_end(s01, sums[1], bits);
  sums[2] = cs_end(s10, sums[2], bits), sums[3] = cs_end(s11, sums[3], bits);
#endif
  for (; k < count; ++k) {
    const int32_t a = cs_weight(w0, k, bits), b = cs_weight(w1, k, bits);
    sums[0] += x0[k] * a, sums[1] += x0[k] * b, sums[2] += x1[k] * a, sums[3] += x1[k] * b;
  }
}

/* The same of one row of x with four output channels that are `stride` bytes apart. */
CS_INLINE void cs_dot_1x4(int32_t count, const int8_t* x, const int8_t* w, int32_t stride, int32_t bits,
                          int32_t sums[4]) {
  const int8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
  int32_t k = 0;
#if defined(CS_DSP)
  int32_t s0 = cs_start(sums[0], bits), s1 = cs_start(sums[1], bits);
  int32_t s2 = cs_start(sums[2], bits), s3 = cs_start(sums[3], bits);
  for (; k + 4 <= count; k += 4) {
    const uint32_t word = cs_load4(x + k);
    const uint32_t even_x = cs_even_bytes(word), odd_x = cs_odd_bytes(word);
    uint32_t even, odd;
    cs_load_weights(w, k, bits, &even, &odd);
    s0 = cs_multiply_pairs(odd_x, odd, cs_multiply_pairs(even_x, even, s0));
    cs_load_weights(w1, k, bits, &even, &odd);
    s1 = cs_multiply_pairs(odd_x, odd, cs_multiply_pairs(even_x, even, s1));
    cs_load_weights(w2, k, bits, &even, &odd);
    s2 = cs_multiply_pairs(odd_x, odd, cs_multiply_pairs(even_x, even, s2));
    cs_load_weights(w3, k, bits, &even, &odd);
    s3 = cs_multiply_pairs(odd_x, odd, cs_multiply_pairs(even_x, even, s3));
  }
  sums[0] = cs_end(s0, sums[0], bits), sums[1] = cs_end(s1, sums[1], bits);
  sums[2] = cs_end(s2, sums[2], bits), sums[3] = cs_end(s3, sums[3], bits);
#endif
  for (; k < count; ++k) {
    sums[0] += x[k] * cs_weight(w, k, bits), sums[1] += x[k] * cs_weight(w1, k, bits);
    sums[2] += x[k] * cs_weight(w2, k, bits), sums[3] += x[k] * cs_weight(w3, k, bits);
  }
}

/* The same of one row with one output channel. */
CS_INLINE int32_t cs_dot(int32_t count, const int8_t* x, const int8_t* w, int32_t bits, int32_t sum) {
  int32_t k = 0;
#if defined(CS_DSP)
  int32_t s = cs_start(sum, bits);
  for (; k + 4 <= count; k += 4) {
    const uint32_t word = cs_load4(x + k);
    uint32_t even, odd;
    cs_load_weights(w, k, bits, &even, &odd);
    s = cs_multiply_pairs(cs_odd_bytes(word), odd, cs_multiply_pairs(cs_even_bytes(word), even, s));
  }
  sum = cs_end(s, sum, bits);
#endif
  for (; k < count; ++k) {
    sum += x[k] * cs_weight(w, k, bits);
  }
  return sum;
}

/* From sums to outputs: by the quick way, which its callers make sure of, or the only way. */
#if defined(CS_DSP)
typedef cs_quick_output cs_rounding;
CS_INLINE cs_rounding cs_rounding_of(const cs_linear* linear) {
  return cs_quick(linear->shift, linear->out.zero_point);
}
CS_INLINE int8_t cs_result(int32_t sum, int32_t multiplier, const cs_rounding* rounding) {
  return cs_requantize_quick(sum, multiplier, rounding);
}
#else
typedef cs_linear cs_rounding;
CS_INLINE cs_rounding cs_rounding_of(const cs_linear* linear) { return *linear; }
CS_INLINE int8_t cs_result(int32_t sum, int32_t multiplier, const cs_rounding* rounding) {
  return cs_requantize(sum, multiplier, rounding->shift, rounding->out.zero_point);
}
#endif

CS_INLINE void cs_two_rows(const cs_linear* linear, int32_t bits, int32_t count, int32_t out_c, const int8_t* x0,
                           const int8_t* x1, int8_t* out0, int8_t* out1) {
  const int32_t stride = cs_weight_bytes(count, bits);
  const cs_rounding rounding = cs_rounding_of(linear);
  const int8_t* w = linear->weight;
  const int32_t* rq = linear->requantization;
  int32_t c = 0;
  for (; c + 2 <= out_c; c += 2, w += 2 * stride, rq += 4) {
    int32_t sums[4] = {rq[0], rq[2], rq[0], rq[2]};
    cs_dot_2x2(count, x0, x1, w, w + stride, bits, sums);
    out0[c] = cs_result(sums[0], rq[1], &rounding);
    out1[c] = cs_result(sums[2], rq[1], &rounding);
    out0[c + 1] = cs_result(sums[1], rq[3], &rounding);
    out1[c + 1] = cs_result(sums[3], rq[3], &rounding);
  }
  if (c < out_c) {
    out0[c] = cs_result(cs_dot(count, x0, w, bits, rq[0]), rq[1], &rounding);
    out1[c] = cs_result(cs_dot(count, x1, w, bits, rq[0]), rq[1], &rounding);
  }
}

CS_INLINE void cs_one_row(const cs_linear* linear, int32_t bits, int32_t count, int32_t out_c, const int8_t* x,
                          int8_t* out) {
  const int32_t stride = cs_weight_bytes(count, bits);
  const cs_rounding rounding = cs_rounding_of(linear);
  const int8_t* w = linear->weight;
  const int32_t* rq = linear->requantization;
  int32_t c = 0;
  for (; c + 4 <= out_c; c += 4, w += 4 * stride, rq += 8) {
    int32_t sums[4] = {rq[0], rq[2], rq[4], rq[6]};
    cs_dot_1x4(count, x, w, stride, bits, sums);
    out[c] = cs_result(sums[0], rq[1], &rounding);
    out[c + 1] = cs_result(sums[1], rq[3], &rounding);
    out[c + 2] = cs_result(sums[2], rq[5], &rounding);
    out[c + 3] = cs_result(sums[3], rq[7], &rounding);
  }
  for (; c < out_c; ++c, w += stride, rq += 2) {
    out[c] = cs_result(cs_dot(count, x, w, bits, rq[0]), rq[1], &rounding);
  }
}

#if defined(CS_DSP)
/* The few layers that multiply by a quarter or more. */
static void cs_any_shift(const cs_linear* linear, int32_t count, int32_t out_c, const int8_t* x, int8_t* out) {
  const int32_t bits = linear->weight_bits, stride = cs_weight_bytes(count, bits);
  const int32_t* rq = linear->requantization;
  for (int32_t c = 0; c < out_c; ++c, rq += 2) {
    const int32_t sum = cs_dot(count, x, linear->weight + c * stride, bits, rq[0]);
    out[c] = cs_requantize(sum, rq[1], linear->shift, linear->out.zero_point);
  }
}
#endif

void cs_linear_two_rows(const cs_linear* linear, int32_t count, int32_t out_c, const int8_t* x0, const int8_t* x1,
                        int8_t* out0, int8_t* out1) {
#if defined(CS_DSP)
  if (!cs_is_quick(linear->shift)) {
    cs_linear_one_row(linear, count, out_c, x0, out0);
    cs_linear_one_row(linear, count, out_c, x1, out1);
    return;
  }
#endif
  /* The bits are constants in each branch: two loops, neither of which asks for them. */
  if (linear->weight_bits == 8) {
    cs_two_rows(linear, 8, count, out_c, x0, x1, out0, out1);
  } else {
    cs_two_rows(linear, 4, count, out_c, x0, x1, out0, out1);
  }
  cs_finish(&linear->out, out_c, out0);
  if (out1 != out0) {
    cs_finish(&linear->out, out_c, out1);
  }
}

void cs_linear_one_row(const cs_linear* linear, int32_t count, int32_t out_c, const int8_t* x, int8_t* out) {
#if defined(CS_DSP)
  if (!cs_is_quick(linear->shift)) {
    cs_any_shift(linear, count, out_c, x, out);
  } else
#endif
      if (linear->weight_bits == 8) {
    cs_one_row(linear, 8, count, out_c, x, out);
  } else {
    cs_one_row(linear, 4, count, out_c, x, out);
  }
  cs_finish(&linear->out, out_c, out);
}

void cs_fully_connected(const cs_linear* linear, int32_t rows, int32_t in_c, int32_t out_c, const int8_t* in,
                        int32_t in_stride, int8_t* out, int32_t out_stride) {
  int32_t row = 0;
  for (; row + 2 <= rows; row += 2, in += 2 * in_stride, out += 2 * out_stride) {
    cs_linear_two_rows(linear, in_c, out_c, in, in + in_stride, out, out + out_stride);
  }
  if (row < rows) {
    cs_linear_one_row(linear, in_c, out_c, in, out);
  }
}
