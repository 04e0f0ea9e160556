#include "cs_linear.h"

/* Sums of products of two rows of x with two output channels: each loaded and widened operand is used twice. `sums`:
 * (row 0, channel 0), (row 0, channel 1), (row 1, channel 0), (row 1, channel 1). */
CS_INLINE void cs_dot_2x2(int32_t count, const int8_t* x0, const int8_t* x1, const int8_t* w0, const int8_t* w1,
                          int32_t bits, int32_t sums[4]) {
  int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0;
  int32_t k = 0;
#if defined(CS_DSP)
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
  if (bits == 4) {
    s00 >>= 4, s01 >>= 4, s10 >>= 4, s11 >>= 4; /* exact, see cs_load_weights */
  }
#endif
  for (; k < count; ++k) {
    const int32_t a = cs_weight(w0, k, bits), b = cs_weight(w1, k, bits);
    s00 += x0[k] * a, s01 += x0[k] * b, s10 += x1[k] * a, s11 += x1[k] * b;
  }
  sums[0] = s00, sums[1] = s01, sums[2] = s10, sums[3] = s11;
}

/* One row of x with four output channels that are `stride` bytes apart. */
CS_INLINE void cs_dot_1x4(int32_t count, const int8_t* x, const int8_t* w, int32_t stride, int32_t bits,
                          int32_t sums[4]) {
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  const int8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
  int32_t k = 0;
#if defined(CS_DSP)
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
  if (bits == 4) {
    s0 >>= 4, s1 >>= 4, s2 >>= 4, s3 >>= 4;
  }
#endif
  for (; k < count; ++k) {
    s0 += x[k] * cs_weight(w, k, bits), s1 += x[k] * cs_weight(w1, k, bits);
    s2 += x[k] * cs_weight(w2, k, bits), s3 += x[k] * cs_weight(w3, k, bits);
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

CS_INLINE int32_t cs_dot(int32_t count, const int8_t* x, const int8_t* w, int32_t bits) {
  int32_t sum = 0;
  int32_t k = 0;
#if defined(CS_DSP)
  for (; k + 4 <= count; k += 4) {
    const uint32_t word = cs_load4(x + k);
    uint32_t even, odd;
    cs_load_weights(w, k, bits, &even, &odd);
    sum = cs_multiply_pairs(cs_odd_bytes(word), odd, cs_multiply_pairs(cs_even_bytes(word), even, sum));
  }
  if (bits == 4) {
    sum >>= 4;
  }
#endif
  for (; k < count; ++k) {
    sum += x[k] * cs_weight(w, k, bits);
  }
  return sum;
}

CS_INLINE void cs_two_rows(const cs_linear* linear, int32_t bits, int32_t count, int32_t out_c, const int8_t* x0,
                           const int8_t* x1, int8_t* out0, int8_t* out1) {
  const int32_t stride = cs_weight_bytes(count, bits), shift = linear->shift, zero_point = linear->out.zero_point;
  const int8_t* w = linear->weight;
  const int32_t* rq = linear->requantization;
  int32_t c = 0;
  for (; c + 2 <= out_c; c += 2, w += 2 * stride, rq += 4) {
    int32_t sums[4];
    cs_dot_2x2(count, x0, x1, w, w + stride, bits, sums);
    out0[c] = cs_requantize(sums[0] + rq[0], rq[1], shift, zero_point);
    out1[c] = cs_requantize(sums[2] + rq[0], rq[1], shift, zero_point);
    out0[c + 1] = cs_requantize(sums[1] + rq[2], rq[3], shift, zero_point);
    out1[c + 1] = cs_requantize(sums[3] + rq[2], rq[3], shift, zero_point);
  }
  if (c < out_c) {
    out0[c] = cs_requantize(cs_dot(count, x0, w, bits) + rq[0], rq[1], shift, zero_point);
    out1[c] = cs_requantize(cs_dot(count, x1, w, bits) + rq[0], rq[1], shift, zero_point);
  }
}

CS_INLINE void cs_one_row(const cs_linear* linear, int32_t bits, int32_t count, int32_t out_c, const int8_t* x,
                          int8_t* out) {
  const int32_t stride = cs_weight_bytes(count, bits), shift = linear->shift, zero_point = linear->out.zero_point;
  const int8_t* w = linear->weight;
  const int32_t* rq = linear->requantization;
  int32_t c = 0;
  for (; c + 4 <= out_c; c += 4, w += 4 * stride) {
    int32_t sums[4];
    cs_dot_1x4(count, x, w, stride, bits, sums);
    for (int32_t i = 0; i < 4; ++i, rq += 2) {
      out[c + i] = cs_requantize(sums[i] + rq[0], rq[1], shift, zero_point);
    }
  }
  for (; c < out_c; ++c, w += stride, rq += 2) {
    out[c] = cs_requantize(cs_dot(count, x, w, bits) + rq[0], rq[1], shift, zero_point);
  }
}

void cs_linear_two_rows(const cs_linear* linear, int32_t count, int32_t out_c, const int8_t* x0, const int8_t* x1,
                        int8_t* out0, int8_t* out1) {
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
