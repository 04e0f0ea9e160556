#include "cs_float.h"
#include "cs_window.h"

static void cs_conv2d_group_f32(const cs_geometry* g, const cs_linear_f32* linear, int32_t group, const float* in,
                                float* out, float* scratch) {
  const int32_t channels = g->in_c / g->groups, out_channels = g->out_c / g->groups;
  const int32_t count = g->kernel_h * g->kernel_w * channels;
  cs_linear_f32 part = *linear;
  part.weight += group * out_channels * count;
  part.bias += group * out_channels;
  for (int32_t y = 0; y < g->out_h; ++y) {
    for (int32_t x = 0; x < g->out_w; x += 2) {
      /* Two windows as in int8, so that both need the same scratch; a last pixel without a partner is its own. */
      const int32_t partner = x + 1 < g->out_w ? x + 1 : x;
      float* row = out + y * g->out_row + group * out_channels;
      cs_gather(g, sizeof(float), 0, y, x, group * channels, channels, in, scratch);
      cs_gather(g, sizeof(float), 0, y, partner, group * channels, channels, in, scratch + count);
      cs_fully_connected_f32(&part, 2, count, out_channels, scratch, count, row + x * g->out_c,
                             (partner - x) * g->out_c);
    }
  }
}

void cs_conv2d_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out,
                   float* scratch) {
  for (int32_t group = 0; group < geometry->groups; ++group) {
    cs_conv2d_group_f32(geometry, linear, group, in, out, scratch);
  }
}

void cs_pointwise_conv2d_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out) {
  const cs_geometry* g = geometry;
  in -= g->pad_top * g->in_row + g->pad_left * g->in_c;
  for (int32_t y = 0; y < g->out_h; ++y) {
    cs_fully_connected_f32(linear, g->out_w, g->in_c, g->out_c, in + y * g->stride * g->in_row, g->stride * g->in_c,
                           out + y * g->out_row, g->out_c);
  }
}

void cs_patch_embed_token_f32(const cs_geometry* geometry, const cs_linear_f32* linear, int32_t token, const float* in,
                              float* out, float* scratch) {
  const cs_geometry* g = geometry;
  cs_gather(g, sizeof(float), 0, token / g->out_w, token % g->out_w, 0, g->in_c, in, scratch);
  cs_fully_connected_f32(linear, 1, g->kernel_h * g->kernel_w * g->in_c, g->out_c, scratch, 0, out, 0);
}

void cs_patch_embed_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out,
                        float* scratch) {
  for (int32_t token = 0; token < geometry->out_h * geometry->out_w; ++token) {
    cs_patch_embed_token_f32(geometry, linear, token, in, out + token * geometry->out_c, scratch);
  }
}
