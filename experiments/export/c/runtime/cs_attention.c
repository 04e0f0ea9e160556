#include "cs_dot.h"

void cs_attention_scores(int32_t tokens, int32_t head_dim, const int8_t* q, const int8_t* keys, int32_t key_stride,
                         int32_t* scores) {
  cs_dot_rows(tokens, head_dim, q, keys, key_stride, scores);
}

void cs_softmax(const cs_attention* attention, int32_t tokens, int32_t* scores, int8_t* weights) {
  int32_t largest = scores[0];
  for (int32_t j = 1; j < tokens; ++j) {
    largest = cs_maximum(largest, scores[j]);
  }
  const int32_t multiplier = attention->softmax_multiplier, shift = attention->softmax_shift;
  for (int32_t j = 0; j < tokens; ++j) {
    /* Byte j is written when the score that may lie there has been read. */
    const int32_t exponential = cs_exponential(largest - scores[j], multiplier, shift);
    weights[j] = (int8_t)(cs_minimum((exponential + 64) >> 7, 255) - 128);
  }
}

/* Divides by the total of the weights: mean = sum * reciprocal / 2^shift in 1/2^16. */
typedef struct {
  int32_t reciprocal, shift;
  int64_t rounding;
} cs_mean;

CS_INLINE cs_mean cs_mean_of(int32_t tokens, const int8_t* weights) {
  uint32_t total = 0; /* at least 255, the weight of the largest score */
  for (int32_t j = 0; j < tokens; ++j) {
    total += (uint32_t)(weights[j] + 128);
  }
  /* The 16 leading bits of the total. */
  int32_t up = 0;
  while (total < 32768u) {
    total <<= 1;
    ++up;
  }
  while (total >= 65536u) {
    total >>= 1;
    --up;
  }
  const int32_t shift = 15 - up;
  return (cs_mean){(int32_t)((1u << 31) / total), shift, (int64_t)1 << (shift - 1)};
}

CS_INLINE int32_t cs_mean_from(int32_t sum, const cs_mean* mean) {
  return (int32_t)(((int64_t)sum * mean->reciprocal + mean->rounding) >> mean->shift);
}

void cs_attention_context(const cs_attention* attention, int32_t tokens, int32_t head_dim, const int8_t* weights,
                          const int8_t* values, int32_t value_stride, int8_t* out) {
  const int32_t multiplier = attention->multiplier, shift = attention->shift;
  const int32_t zero_point = attention->out.zero_point;
  const cs_mean mean = cs_mean_of(tokens, weights);
  int32_t e = 0;
#if defined(CS_DSP)
  for (; e + 4 <= head_dim; e += 4) {
    int32_t sums[4] = {0, 0, 0, 0};
    const int8_t* v = values + e;
    for (int32_t j = 0; j < tokens; ++j, v += value_stride) {
      const uint32_t word = cs_load4(v);
      const uint32_t even = cs_even_bytes(word), odd = cs_odd_bytes(word);
      const int32_t weight = weights[j] + 128;
      sums[0] = cs_multiply_low(even, weight, sums[0]);
      sums[1] = cs_multiply_low(odd, weight, sums[1]);
      sums[2] = cs_multiply_high(even, weight, sums[2]);
      sums[3] = cs_multiply_high(odd, weight, sums[3]);
    }
    for (int32_t i = 0; i < 4; ++i) {
      out[e + i] = cs_requantize(cs_mean_from(sums[i], &mean), multiplier, shift, zero_point);
    }
  }
#endif
  for (; e < head_dim; ++e) {
    int32_t sum = 0;
    for (int32_t j = 0; j < tokens; ++j) {
      sum += (weights[j] + 128) * values[j * value_stride + e];
    }
    out[e] = cs_requantize(cs_mean_from(sum, &mean), multiplier, shift, zero_point);
  }
  cs_finish(&attention->out, head_dim, out);
}
