#include <string.h>

#include "cs_float.h"

void cs_add_f32(cs_activation_kind activation, int32_t count, const float* a, const float* b, float* out) {
  for (int32_t i = 0; i < count; ++i) {
    out[i] = cs_activate(activation, a[i] + b[i]);
  }
}

void cs_activation_f32(cs_activation_kind activation, int32_t count, const float* in, float* out) {
  for (int32_t i = 0; i < count; ++i) {
    out[i] = cs_activate(activation, in[i]);
  }
}

void cs_concat_input_f32(int32_t rows, int32_t channels, const float* in, int32_t in_stride, float* out,
                         int32_t out_stride) {
  for (int32_t row = 0; row < rows; ++row) {
    memcpy(out + row * out_stride, in + row * in_stride, (uint32_t)channels * sizeof(float));
  }
}

void cs_token_embed_f32(int32_t tokens, int32_t width, const float* table, const int32_t* ids, float* out) {
  for (int32_t t = 0; t < tokens; ++t) {
    memcpy(out + t * width, table + ids[t] * width, (uint32_t)width * sizeof(float));
  }
}

/* The elements are only moved: as four times as many bytes. */
void cs_upsample_f32(int32_t in_h, int32_t in_w, int32_t in_c, int32_t factor, const float* in, float* out) {
  cs_upsample(in_h, in_w, in_c * (int32_t)sizeof(float), factor, (const int8_t*)in, (int8_t*)out);
}
