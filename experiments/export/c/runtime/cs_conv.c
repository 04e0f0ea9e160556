#include "cs_linear.h"

/* Gathers the window of output pixel (y, x), channels [first, first + channels) of each input pixel; zx outside. */
static void cs_gather(const cs_geometry* g, int32_t zero_point, int32_t y, int32_t x, int32_t first, int32_t channels,
                      const int8_t* in, int8_t* out) {
  const int32_t top = y * g->stride - g->pad_top, left = x * g->stride - g->pad_left;
  const int32_t begin = cs_clamp(-left, 0, g->kernel_w), end = cs_clamp(g->in_w - left, begin, g->kernel_w);
  const uint32_t row_bytes = (uint32_t)(g->kernel_w * channels);
  for (int32_t ky = 0; ky < g->kernel_h; ++ky, out += row_bytes) {
    if (top + ky < 0 || top + ky >= g->in_h || begin >= end) {
      memset(out, zero_point, row_bytes);
      continue;
    }
    const int8_t* from = in + (top + ky) * g->in_row + (left + begin) * g->in_c + first;
    memset(out, zero_point, (uint32_t)(begin * channels));
    if (channels == g->in_c) {
      memcpy(out + begin * channels, from, (uint32_t)((end - begin) * channels));
    } else {
      for (int32_t kx = begin; kx < end; ++kx, from += g->in_c) {
        memcpy(out + kx * channels, from, (uint32_t)channels);
      }
    }
    memset(out + end * channels, zero_point, (uint32_t)((g->kernel_w - end) * channels));
  }
}

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
      cs_gather(g, linear->in_zero_point, y, x, group * channels, channels, in, scratch + i * count);
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
  cs_gather(g, linear->in_zero_point, token / g->out_w, token % g->out_w, 0, g->in_c, in, scratch);
  cs_linear_one_row(linear, g->kernel_h * g->kernel_w * g->in_c, g->out_c, scratch, out);
}

void cs_patch_embed(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out,
                    int8_t* scratch) {
  for (int32_t token = 0; token < geometry->out_h * geometry->out_w; ++token) {
    cs_patch_embed_token(geometry, linear, token, in, out + token * geometry->out_c, scratch);
  }
}
