#include "cs_arithmetic.h"

void cs_add(const cs_addition* addition, int32_t count, const int8_t* a, const int8_t* b, int8_t* out) {
  const int32_t shift = addition->shift, zero_point = addition->out.zero_point;
  const int32_t za = addition->zero_point[0], zb = addition->zero_point[1];
  const int32_t ma = addition->multiplier[0], mb = addition->multiplier[1];
  for (int32_t i = 0; i < count; ++i) {
    out[i] = cs_rescale((a[i] - za) * ma + (b[i] - zb) * mb, shift, zero_point);
  }
  cs_finish(&addition->out, count, out);
}

void cs_activation(const cs_output* output, int32_t count, const int8_t* in, int8_t* out) {
  if (output->table != 0) {
    const int8_t* table = output->table + 128;
    for (int32_t i = 0; i < count; ++i) {
      out[i] = table[in[i]];
    }
    return;
  }
  for (int32_t i = 0; i < count; ++i) {
    out[i] = (int8_t)cs_clamp(in[i], output->low, output->high);
  }
}

void cs_concat_input(const cs_rescaling* rescaling, int32_t rows, int32_t channels, const int8_t* in, int32_t in_stride,
                     int8_t* out, int32_t out_stride) {
  const int32_t shift = rescaling->shift, zero_point = rescaling->out.zero_point;
  for (int32_t row = 0; row < rows; ++row, in += in_stride, out += out_stride) {
    for (int32_t c = 0; c < channels; ++c) {
      out[c] = cs_rescale((in[c] - rescaling->in_zero_point) * rescaling->multiplier, shift, zero_point);
    }
    cs_finish(&rescaling->out, channels, out);
  }
}

void cs_token_embed(int32_t tokens, int32_t width, const int8_t* table, const int32_t* ids, int8_t* out) {
  for (int32_t t = 0; t < tokens; ++t) {
    memcpy(out + t * width, table + ids[t] * width, (uint32_t)width);
  }
}

void cs_upsample(int32_t in_h, int32_t in_w, int32_t in_c, int32_t factor, const int8_t* in, int8_t* out) {
  const int32_t row = factor * in_w * in_c;
  for (int32_t y = 0; y < in_h; ++y) {
    int8_t* first = out;
    for (int32_t x = 0; x < in_w; ++x, in += in_c) {
      for (int32_t i = 0; i < factor; ++i, out += in_c) {
        memcpy(out, in, (uint32_t)in_c);
      }
    }
    for (int32_t i = 1; i < factor; ++i, out += row) {
      memcpy(out, first, (uint32_t)row);
    }
  }
}
