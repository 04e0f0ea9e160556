#include "cs_linear.h"
#include "cs_window.h"

/* One group: output channels [first_out, first_out + out_channels) of all pixels, two pixels at a time. */
static void cs_conv2d_group(const cs_geometry* g, const cs_linear* linear, int32_t group, const int8_t* in, int8_t* out,
                            int8_t* scratch) {
  const int32_t channels = g->in_c / g->groups, out_channels = g->out_c / g->groups;
  const int32_t count = g->kernel_h * g->kernel_w * channels;
  const int32_t pixels = g->out_h * g->out_w;
  cs_linear part = *linear;
  part.weight += group * out_channels * cs_weight_bytes(count, linear->weight_bits);
  part.requantization += 2 * group * out_channels;
  int32_t y = 0, x = 0;
  for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
    int8_t* outs[2];
    for (int32_t i = 0; i < 2; ++i) {
      /* A last pixel without a partner is its own. */
      outs[i] = out + y * g->out_row + x * g->out_c + group * out_channels;
      cs_gather(g, 1, linear->in_zero_point, y, x, group * channels, channels, in, scratch + i * count);
      if (pixel + i + 1 < pixels && ++x == g->out_w) {
        x = 0;
        ++y;
      }
    }
    cs_linear_two_rows(&part, count, out_channels, scratch, scratch + count, outs[0], outs[1]);
  }
}

void cs_conv2d(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out, int8_t* scratch) {
  for (int32_t group = 0; group < geometry->groups; ++group) {
    cs_conv2d_group(geometry, linear, group, in, out, scratch);
  }
}

void cs_pointwise_conv2d(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out) {
  const cs_geometry* g = geometry;
  in -= g->pad_top * g->in_row + g->pad_left * g->in_c; /* the region's first pixel, see cs_geometry */
  if (g->stride == 1 && g->in_row == g->out_w * g->in_c && g->out_row == g->out_w * g->out_c) {
    cs_fully_connected(linear, g->out_h * g->out_w, g->in_c, g->out_c, in, g->in_c, out, g->out_c);
    return;
  }
  for (int32_t y = 0; y < g->out_h; ++y) {
    cs_fully_connected(linear, g->out_w, g->in_c, g->out_c, in + y * g->stride * g->in_row, g->stride * g->in_c,
                       out + y * g->out_row, g->out_c);
  }
}

void cs_patch_embed_token(const cs_geometry* geometry, const cs_linear* linear, int32_t token, const int8_t* in,
                          int8_t* out, int8_t* scratch) {
  const cs_geometry* g = geometry;
  cs_gather(g, 1, linear->in_zero_point, token / g->out_w, token % g->out_w, 0, g->in_c, in, scratch);
  cs_linear_one_row(linear, g->kernel_h * g->kernel_w * g->in_c, g->out_c, scratch, out);
}

void cs_patch_embed(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out,
                    int8_t* scratch) {
  for (int32_t token = 0; token < geometry->out_h * geometry->out_w; ++token) {
    cs_patch_embed_token(geometry, linear, token, in, out + token * geometry->out_c, scratch);
  }
}
