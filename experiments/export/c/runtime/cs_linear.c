#include "cs_linear.h"
#include "cs_dot.h"

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
    cs_dot(2, 2, bits, count, x0, x1, w, stride, sums);
    out0[c] = cs_result(sums[0], rq[1], &rounding);
    out1[c] = cs_result(sums[2], rq[1], &rounding);
    out0[c + 1] = cs_result(sums[1], rq[3], &rounding);
    out1[c + 1] = cs_result(sums[3], rq[3], &rounding);
  }
  if (c < out_c) {
    int32_t sums[4] = {rq[0], rq[0], 0, 0};
    cs_dot(2, 1, bits, count, x0, x1, w, stride, sums);
    out0[c] = cs_result(sums[0], rq[1], &rounding);
    out1[c] = cs_result(sums[1], rq[1], &rounding);
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
    cs_dot(1, 4, bits, count, x, x, w, stride, sums);
    out[c] = cs_result(sums[0], rq[1], &rounding);
    out[c + 1] = cs_result(sums[1], rq[3], &rounding);
    out[c + 2] = cs_result(sums[2], rq[5], &rounding);
    out[c + 3] = cs_result(sums[3], rq[7], &rounding);
  }
  if (c + 2 <= out_c) {
    int32_t sums[4] = {rq[0], rq[2], 0, 0};
    cs_dot(1, 2, bits, count, x, x, w, stride, sums);
    out[c] = cs_result(sums[0], rq[1], &rounding);
    out[c + 1] = cs_result(sums[1], rq[3], &rounding);
    c += 2, w += 2 * stride, rq += 4;
  }
  if (c < out_c) {
    int32_t sums[4] = {rq[0], 0, 0, 0};
    cs_dot(1, 1, bits, count, x, x, w, stride, sums);
    out[c] = cs_result(sums[0], rq[1], &rounding);
  }
}

#if defined(CS_DSP)
/* The few layers that multiply by a quarter or more, or by next to nothing. */
static void cs_any_shift(const cs_linear* linear, int32_t count, int32_t out_c, const int8_t* x, int8_t* out) {
  const int32_t bits = linear->weight_bits, stride = cs_weight_bytes(count, bits);
  const int32_t* rq = linear->requantization;
  for (int32_t c = 0; c < out_c; ++c, rq += 2) {
    int32_t sums[4] = {rq[0], 0, 0, 0};
    cs_dot(1, 1, bits, count, x, x, linear->weight + c * stride, stride, sums);
    out[c] = cs_requantize(sums[0], rq[1], linear->shift, linear->out.zero_point);
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
