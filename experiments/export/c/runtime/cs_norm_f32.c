#include "cs_float.h"

void cs_batch_norm_f32(const cs_norm_f32* norm, int32_t rows, int32_t channels, const float* in, float* out) {
  for (int32_t row = 0; row < rows; ++row, in += channels, out += channels) {
    for (int32_t c = 0; c < channels; ++c) {
      out[c] = cs_activate(norm->activation, in[c] * norm->scale[c] + norm->shift[c]);
    }
  }
}

void cs_layer_norm_f32(const cs_norm_f32* norm, int32_t rows, int32_t channels, const float* in, int32_t in_stride,
                       float* out, int32_t out_stride) {
  for (int32_t row = 0; row < rows; ++row, in += in_stride, out += out_stride) {
    float mean = 0.0f, variance = 0.0f;
    for (int32_t c = 0; c < channels; ++c) {
      mean += in[c];
    }
    mean /= (float)channels;
    for (int32_t c = 0; c < channels; ++c) {
      variance += (in[c] - mean) * (in[c] - mean);
    }
    const float scale = 1.0f / sqrtf(variance / (float)channels + norm->epsilon);
    for (int32_t c = 0; c < channels; ++c) {
      out[c] = (in[c] - mean) * scale * norm->scale[c] + norm->shift[c];
    }
  }
}
