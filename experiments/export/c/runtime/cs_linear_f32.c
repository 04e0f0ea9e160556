#include "cs_float.h"

void cs_fully_connected_f32(const cs_linear_f32* linear, int32_t rows, int32_t in_c, int32_t out_c, const float* in,
                            int32_t in_stride, float* out, int32_t out_stride) {
  for (int32_t row = 0; row < rows; ++row, in += in_stride, out += out_stride) {
    const float* weight = linear->weight;
    for (int32_t c = 0; c < out_c; ++c, weight += in_c) {
      out[c] = cs_activate(linear->activation, cs_dot_f32(in_c, in, weight, linear->bias[c]));
    }
  }
}
