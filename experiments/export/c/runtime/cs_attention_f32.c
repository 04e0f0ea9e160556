#include "cs_float.h"

void cs_attention_scores_f32(int32_t tokens, int32_t head_dim, const float* q, const float* keys, int32_t key_stride,
                             float* scores) {
  const float scale = 1.0f / sqrtf((float)head_dim);
  for (int32_t j = 0; j < tokens; ++j, keys += key_stride) {
    scores[j] = scale * cs_dot_f32(head_dim, q, keys, 0.0f);
  }
}

void cs_softmax_f32(int32_t tokens, const float* scores, float* shares) {
  float largest = scores[0];
  for (int32_t j = 1; j < tokens; ++j) {
    largest = fmaxf(largest, scores[j]);
  }
  float sum = 0.0f;
  for (int32_t j = 0; j < tokens; ++j) {
    shares[j] = expf(scores[j] - largest);
    sum += shares[j];
  }
  for (int32_t j = 0; j < tokens; ++j) {
    shares[j] /= sum;
  }
}

void cs_attention_context_f32(int32_t tokens, int32_t head_dim, const float* shares, const float* values,
                              int32_t value_stride, float* out) {
  for (int32_t e = 0; e < head_dim; ++e) {
    out[e] = 0.0f;
  }
  for (int32_t j = 0; j < tokens; ++j, values += value_stride) {
    for (int32_t e = 0; e < head_dim; ++e) {
      out[e] += shares[j] * values[e];
    }
  }
}
