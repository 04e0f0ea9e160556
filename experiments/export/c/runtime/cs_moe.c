#include "cs_dot.h"
#include "cs_linear.h"

/* An expert's place in the order of logits, of equal ones the lower expert first. */
typedef struct {
  int32_t logit, expert;
} cs_place;

CS_INLINE int cs_is_behind(int32_t logit, int32_t expert, const cs_place* place) {
  return logit < place->logit || (logit == place->logit && expert > place->expert);
}

/* The place of the last expert that is taken: those that are not behind it are taken. */
CS_NOINLINE cs_place cs_last_taken(int32_t experts, int32_t top_k, const int32_t* logits) {
  cs_place last = {INT32_MAX, -1};
  for (int32_t k = 0; k < top_k; ++k) {
    cs_place next = {INT32_MIN, experts};
    for (int32_t e = 0; e < experts; ++e) {
      if (cs_is_behind(logits[e], e, &last) && !cs_is_behind(logits[e], e, &next)) {
        next = (cs_place){logits[e], e};
      }
    }
    last = next;
  }
  return last;
}

/* sums[c] += share * (bias[c] + sum of hidden * w2[c]) / 2^15. */
CS_NOINLINE void cs_add_share(int32_t share, int32_t channels, int32_t count, const int8_t* hidden, const int8_t* w2,
                              const int32_t* bias, int32_t* sums) {
  int32_t c = 0;
  for (; c + 4 <= channels; c += 4, w2 += 4 * count) {
    int32_t own[4] = {bias[c], bias[c + 1], bias[c + 2], bias[c + 3]};
    cs_dot(1, 4, 8, count, hidden, hidden, w2, count, own);
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
      sums[c + i] += (int32_t)(((int64_t)share * own[i] + (1 << 14)) >> 15);
    }
  }
  for (; c < channels; ++c, w2 += count) {
    int32_t own[4] = {bias[c], 0, 0, 0};
    cs_dot(1, 1, 8, count, hidden, hidden, w2, count, own);
    sums[c] += (int32_t)(((int64_t)share * own[0] + (1 << 14)) >> 15);
  }
}

/* The sums of the experts that are taken, with their shares. */
CS_NOINLINE void cs_sum_experts(const cs_mixture* m, int32_t channels, const int8_t* x, const int32_t* logits,
                                int8_t* hidden, int32_t* sums) {
  const int32_t multiplier = m->softmax_multiplier, shift = m->softmax_shift;
  const cs_place last = cs_last_taken(m->experts, m->top_k, logits);
  int32_t largest = logits[0];
  for (int32_t e = 1; e < m->experts; ++e) {
    largest = cs_maximum(largest, logits[e]);
  }
  uint32_t total = 0;
  for (int32_t e = 0; e < m->experts; ++e) {
    total += (uint32_t)cs_exponential(largest - logits[e], multiplier, shift);
  }
  for (int32_t e = 0; e < m->experts; ++e) {
    if (cs_is_behind(logits[e], e, &last)) {
      continue;
    }
    const uint32_t own = (uint32_t)cs_exponential(largest - logits[e], multiplier, shift);
    const cs_linear first = {m->w1 + e * m->hidden * channels,
                             m->requantization1 + 2 * e * m->hidden,
                             8,
                             m->shift1,
                             0, /* outside of an image: there is none */
                             m->hidden_out};
    cs_linear_one_row(&first, channels, m->hidden, x, hidden);
    cs_add_share((int32_t)(((own << 15) + total / 2) / total), channels, m->hidden, hidden,
                 m->w2 + e * channels * m->hidden, m->b2 + e * channels, sums);
  }
}

void cs_moe(const cs_mixture* mixture, int32_t rows, int32_t channels, const int8_t* in, int32_t in_stride, int8_t* out,
            int32_t out_stride, int8_t* scratch) {
  const int32_t experts = mixture->experts, hidden_bytes = (mixture->hidden + 3) / 4 * 4;
  int32_t* logits = (int32_t*)(void*)scratch;
  int8_t* hidden = scratch + 4 * experts;
  int32_t* sums = (int32_t*)(void*)(hidden + hidden_bytes);
  memset(hidden, 0, (uint32_t)hidden_bytes); /* those behind the last one, too */
  for (int32_t row = 0; row < rows; ++row, in += in_stride, out += out_stride) {
    cs_dot_rows(experts, channels, in, mixture->router, channels, logits);
    for (int32_t e = 0; e < experts; ++e) {
      logits[e] += mixture->router_bias[e];
    }
    memset(sums, 0, 4 * (uint32_t)channels);
    cs_sum_experts(mixture, channels, in, logits, hidden, sums);
    for (int32_t c = 0; c < channels; ++c) {
      out[c] = cs_requantize(sums[c], mixture->multiplier2[c], mixture->shift2, mixture->out.zero_point);
    }
    cs_finish(&mixture->out, channels, out);
  }
}
