#include "cs_float.h"

/* Whether `expert` is behind `other` in the order of shares, of equal ones the lower expert first. */
static int cs_is_behind_f32(const float* shares, int32_t expert, int32_t other) {
  return shares[expert] < shares[other] || (shares[expert] == shares[other] && expert > other);
}

static int cs_is_taken_f32(const cs_mixture_f32* m, const float* shares, int32_t expert) {
  int32_t before = 0;
  for (int32_t e = 0; e < m->experts; ++e) {
    before += cs_is_behind_f32(shares, expert, e);
  }
  return before < m->top_k;
}

/* Adds an expert's output, times its share. */
static void cs_add_expert_f32(const cs_mixture_f32* m, int32_t expert, int32_t channels, float share, const float* x,
                              float* hidden, float* sums) {
  const float* w1 = m->w1 + expert * m->hidden * channels;
  for (int32_t h = 0; h < m->hidden; ++h, w1 += channels) {
    hidden[h] = cs_activate(m->activation, cs_dot_f32(channels, x, w1, m->b1[expert * m->hidden + h]));
  }
  const float* w2 = m->w2 + expert * channels * m->hidden;
  for (int32_t c = 0; c < channels; ++c, w2 += m->hidden) {
    sums[c] += share * cs_dot_f32(m->hidden, hidden, w2, m->b2[expert * channels + c]);
  }
}

void cs_moe_f32(const cs_mixture_f32* mixture, int32_t rows, int32_t channels, const float* in, int32_t in_stride,
                float* out, int32_t out_stride, float* scratch) {
  float* shares = scratch;
  float* hidden = shares + mixture->experts;
  float* sums = hidden + mixture->hidden;
  for (int32_t row = 0; row < rows; ++row, in += in_stride, out += out_stride) {
    for (int32_t e = 0; e < mixture->experts; ++e) {
      shares[e] = cs_dot_f32(channels, in, mixture->router + e * channels, mixture->router_bias[e]);
    }
    cs_softmax_f32(mixture->experts, shares, shares);
    memset(sums, 0, (uint32_t)channels * sizeof(float));
    for (int32_t e = 0; e < mixture->experts; ++e) {
      if (cs_is_taken_f32(mixture, shares, e)) {
        cs_add_expert_f32(mixture, e, channels, shares[e], in, hidden, sums);
      }
    }
    memcpy(out, sums, (uint32_t)channels * sizeof(float));
  }
}
