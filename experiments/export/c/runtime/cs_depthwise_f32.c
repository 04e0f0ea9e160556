#include "cs_float.h"
#include "cs_window.h"

static float cs_channel_f32(const cs_geometry* g, const cs_linear_f32* linear, const cs_row_ring* rows, int32_t left,
                            int32_t c) {
  const float* weight = linear->weight + c * g->kernel_h * g->kernel_w;
  const int32_t begin = cs_maximum(-left, 0), end = cs_minimum(g->in_w - left, g->kernel_w);
  float sum = linear->bias[c];
  for (int32_t ky = rows->begin; ky < rows->end; ++ky) {
    const float* x = (const float*)cs_ring_row(rows, ky) + left * g->in_c + c / (g->out_c / g->in_c);
    for (int32_t kx = begin; kx < end; ++kx) {
      sum += x[kx * g->in_c] * weight[ky * g->kernel_w + kx];
    }
  }
  return cs_activate(linear->activation, sum);
}

static void cs_output_row_f32(const cs_geometry* g, const cs_linear_f32* linear, const cs_row_ring* rows, float* out) {
  for (int32_t x = 0; x < g->out_w; ++x) {
    for (int32_t c = 0; c < g->out_c; ++c) {
      *out++ = cs_channel_f32(g, linear, rows, x * g->stride - g->pad_left, c);
    }
  }
}

void cs_depthwise_conv2d_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out) {
  for (int32_t y = 0; y < geometry->out_h; ++y, out += geometry->out_row) {
    const cs_row_ring rows = cs_rows_of_image(geometry, sizeof(float), y, in);
    cs_output_row_f32(geometry, linear, &rows, out);
  }
}

void cs_depthwise_conv2d_in_place_f32(const cs_geometry* geometry, const cs_linear_f32* linear, float* data,
                                      float* scratch) {
  const int32_t out_row = geometry->out_w * geometry->out_c;
  int32_t next = 0;
  for (int32_t y = 0; y < geometry->out_h; ++y) {
    const cs_row_ring rows = cs_kept_rows(geometry, sizeof(float), 0, y, &next, data, scratch);
    cs_output_row_f32(geometry, linear, &rows, data + y * out_row);
  }
}
