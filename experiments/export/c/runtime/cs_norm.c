#include "cs_arithmetic.h"

void cs_batch_norm(const cs_norm* norm, int32_t rows, int32_t channels, const int8_t* in, int8_t* out) {
  for (int32_t row = 0; row < rows; ++row, in += channels, out += channels) {
    const int32_t* rq = norm->requantization;
    for (int32_t c = 0; c < channels; ++c, rq += 2) {
      out[c] = cs_rescale((in[c] - norm->in_zero_point) * rq[1] + rq[0], norm->shift, norm->out.zero_point);
    }
    cs_finish(&norm->out, channels, out);
  }
}

/* floor(sqrt(value)), value >= 2^30: Newton's method from above. */
static uint32_t cs_square_root(uint32_t value) {
  uint32_t root = 65536;
  for (;;) {
    const uint32_t next = (root + value / root) >> 1;
    if (next >= root) {
      return root;
    }
    root = next;
  }
}

/* 1 / sqrt(value) = the result / 2^shift, value >= 1. */
static uint32_t cs_reciprocal_root(uint64_t value, int32_t* shift) {
  /* Into [2^30, 2^32) by an even number of bits; moving down in steps drops the same bits as at once. */
  int32_t half_down = 0;
  for (; value >> 32 != 0; value >>= 2) {
    ++half_down;
  }
  for (; value >> 30 == 0; value <<= 2) {
    --half_down;
  }
  *shift = 31 + half_down;
  return (1u << 31) / cs_square_root((uint32_t)value);
}

static void cs_layer_norm_row(const cs_norm* norm, int32_t channels, const int8_t* in, int8_t* out) {
  int32_t sum = 0;
  uint32_t squares = 0; /* up to 2^14 each */
  for (int32_t c = 0; c < channels; ++c) {
    sum += in[c];
    squares += (uint32_t)(in[c] * in[c]);
  }
  const int64_t variance = (int64_t)channels * squares - (int64_t)sum * sum + norm->epsilon;
  int32_t shift;
  const int32_t reciprocal = (int32_t)cs_reciprocal_root((uint64_t)(variance < 1 ? 1 : variance), &shift);
  const int32_t norm_shift = shift - 12; /* to 12 bits behind the point; at least 4 */
  const int64_t norm_rounding = (int64_t)1 << (norm_shift - 1);
  const int64_t rounding = (int64_t)1 << (norm->shift - 1);
  const int32_t* rq = norm->requantization;
  for (int32_t c = 0; c < channels; ++c, rq += 2) {
    const int32_t z = (int32_t)(((int64_t)(channels * in[c] - sum) * reciprocal + norm_rounding) >> norm_shift);
    const int64_t scaled = (int64_t)z * rq[1] + (int64_t)rq[0] * 4096 + rounding;
    out[c] = (int8_t)cs_saturate8((int32_t)(scaled >> norm->shift) + norm->out.zero_point);
  }
  cs_finish(&norm->out, channels, out);
}

void cs_layer_norm(const cs_norm* norm, int32_t rows, int32_t channels, const int8_t* in, int32_t in_stride,
                   int8_t* out, int32_t out_stride) {
  for (int32_t row = 0; row < rows; ++row, in += in_stride, out += out_stride) {
    cs_layer_norm_row(norm, channels, in, out);
  }
}
