#include "cs_arithmetic.h"

/* The kernel_h input rows below one output row: row ky is slot first + ky of `slots`, in a ring. */
typedef struct {
  const int8_t* base;
  int32_t stride;
  int32_t first, slots;
  int32_t begin, end; /* the ky that exist */
} cs_row_ring;

CS_INLINE const int8_t* cs_ring_row(const cs_row_ring* rows, int32_t ky) {
  const int32_t slot = rows->first + ky;
  return rows->base + (slot < rows->slots ? slot : slot - rows->slots) * rows->stride;
}

/* The columns of the kernel that exist at an output pixel, and where the first one lies in its row. */
typedef struct {
  int32_t begin, end;
  int32_t offset;
} cs_columns;

#if defined(CS_DSP)

/* Four channels of one tap. `taps` bytes are between the weights of neighbouring channels. */
CS_INLINE void cs_tap_4(const int8_t* x, const int8_t* w, int32_t taps, int32_t sums[4]) {
  const uint32_t word = cs_load4(x);
  const uint32_t even = cs_even_bytes(word), odd = cs_odd_bytes(word);
  sums[0] = cs_multiply_low(even, w[0], sums[0]);
  sums[1] = cs_multiply_low(odd, w[taps], sums[1]);
  sums[2] = cs_multiply_high(even, w[2 * taps], sums[2]);
  sums[3] = cs_multiply_high(odd, w[3 * taps], sums[3]);
}

CS_INLINE void cs_requantize_4(const int32_t sums[4], const int32_t* rq, int32_t shift, int32_t zero_point,
                               int8_t* out) {
  out[0] = cs_requantize(sums[0] + rq[0], rq[1], shift, zero_point);
  out[1] = cs_requantize(sums[1] + rq[2], rq[3], shift, zero_point);
  out[2] = cs_requantize(sums[2] + rq[4], rq[5], shift, zero_point);
  out[3] = cs_requantize(sums[3] + rq[6], rq[7], shift, zero_point);
}

/* Channels [0, channels), a multiple of 4, of a pixel with all taps of a 3 x 3 kernel. */
static void cs_pixel_3x3(const cs_linear* linear, int32_t channels, const cs_row_ring* rows, int32_t offset,
                         int32_t pixel, int8_t* out) {
  const int8_t* x0 = cs_ring_row(rows, 0) + offset;
  const int8_t* x1 = cs_ring_row(rows, 1) + offset;
  const int8_t* x2 = cs_ring_row(rows, 2) + offset;
  const int8_t* w = linear->weight;
  const int32_t* rq = linear->requantization;
  const int32_t shift = linear->shift, zero_point = linear->out.zero_point;
  for (const int8_t* end = out + channels; out != end; out += 4, x0 += 4, x1 += 4, x2 += 4, w += 36, rq += 8) {
    int32_t sums[4] = {0, 0, 0, 0};
    cs_tap_4(x0, w, 9, sums);
    cs_tap_4(x0 + pixel, w + 1, 9, sums);
    cs_tap_4(x0 + 2 * pixel, w + 2, 9, sums);
    cs_tap_4(x1, w + 3, 9, sums);
    cs_tap_4(x1 + pixel, w + 4, 9, sums);
    cs_tap_4(x1 + 2 * pixel, w + 5, 9, sums);
    cs_tap_4(x2, w + 6, 9, sums);
    cs_tap_4(x2 + pixel, w + 7, 9, sums);
    cs_tap_4(x2 + 2 * pixel, w + 8, 9, sums);
    cs_requantize_4(sums, rq, shift, zero_point, out);
  }
}

/* Four channels of taps that do not exist: zx * weight, since the bias has taken off that of all taps. */
CS_INLINE void cs_missing_taps_4(int32_t zero_point, const int8_t* w, int32_t count, int32_t taps, int32_t sums[4]) {
  for (const int8_t* end = w + count; w != end; ++w) {
    sums[0] += zero_point * w[0];
    sums[1] += zero_point * w[taps];
    sums[2] += zero_point * w[2 * taps];
    sums[3] += zero_point * w[3 * taps];
  }
}

/* The same of any kernel, some taps of which may lie outside. */
static void cs_pixel_4(const cs_geometry* g, const cs_linear* linear, int32_t channels, const cs_row_ring* rows,
                       const cs_columns* columns, int8_t* out) {
  const int32_t taps = g->kernel_h * g->kernel_w, zero_point = linear->in_zero_point;
  for (int32_t c = 0; c < channels; c += 4) {
    int32_t sums[4] = {0, 0, 0, 0};
    const int8_t* w = linear->weight + c * taps;
    for (int32_t ky = 0; ky < g->kernel_h; ++ky) {
      if (ky < rows->begin || ky >= rows->end) {
        cs_missing_taps_4(zero_point, w, g->kernel_w, taps, sums);
        w += g->kernel_w;
        continue;
      }
      const int8_t* x = cs_ring_row(rows, ky) + columns->offset + c;
      cs_missing_taps_4(zero_point, w, columns->begin, taps, sums);
      w += columns->begin;
      for (int32_t kx = columns->begin; kx < columns->end; ++kx, ++w, x += g->in_c) {
        cs_tap_4(x, w, taps, sums);
      }
      cs_missing_taps_4(zero_point, w, g->kernel_w - columns->end, taps, sums);
      w += g->kernel_w - columns->end;
    }
    cs_requantize_4(sums, linear->requantization + 2 * c, linear->shift, linear->out.zero_point, out + c);
  }
}

#endif

/* Output channel c of a pixel, tap by tap. */
static int8_t cs_channel(const cs_geometry* g, const cs_linear* linear, int32_t c, const cs_row_ring* rows,
                         const cs_columns* columns) {
  const int32_t bits = linear->weight_bits;
  const int8_t* w = linear->weight + c * cs_weight_bytes(g->kernel_h * g->kernel_w, bits);
  const int32_t* rq = linear->requantization + 2 * c;
  const int32_t in_channel = c / (g->out_c / g->in_c);
  int32_t sum = rq[0], tap = 0;
  for (int32_t ky = 0; ky < g->kernel_h; ++ky) {
    const int row_exists = ky >= rows->begin && ky < rows->end;
    const int8_t* x = row_exists ? cs_ring_row(rows, ky) + columns->offset + in_channel : 0;
    for (int32_t kx = 0; kx < g->kernel_w; ++kx, ++tap) {
      const int exists = row_exists && kx >= columns->begin && kx < columns->end;
      sum += (exists ? x[(kx - columns->begin) * g->in_c] : linear->in_zero_point) * cs_weight(w, tap, bits);
    }
  }
  return cs_requantize(sum, rq[1], linear->shift, linear->out.zero_point);
}

static void cs_depthwise_row(const cs_geometry* g, const cs_linear* linear, const cs_row_ring* rows, int8_t* out) {
  for (int32_t x = 0; x < g->out_w; ++x, out += g->out_c) {
    const int32_t left = x * g->stride - g->pad_left;
    cs_columns columns;
    columns.begin = cs_clamp(-left, 0, g->kernel_w);
    columns.end = cs_clamp(g->in_w - left, columns.begin, g->kernel_w);
    columns.offset = (left + columns.begin) * g->in_c;
    int32_t c = 0;
#if defined(CS_DSP)
    if (linear->weight_bits == 8 && g->out_c == g->in_c) {
      const int whole = rows->end - rows->begin == 3 && columns.end - columns.begin == 3;
      c = g->out_c & ~3;
      if (whole && g->kernel_h == 3 && g->kernel_w == 3) {
        cs_pixel_3x3(linear, c, rows, columns.offset, g->in_c, out);
      } else {
        cs_pixel_4(g, linear, c, rows, &columns, out);
      }
    }
#endif
    for (; c < g->out_c; ++c) {
      out[c] = cs_channel(g, linear, c, rows, &columns);
    }
  }
}

void cs_depthwise_conv2d(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out) {
  const cs_geometry* g = geometry;
  for (int32_t y = 0; y < g->out_h; ++y, out += g->out_row) {
    cs_row_ring rows;
    rows.base = in;
    rows.stride = g->in_row;
    rows.first = y * g->stride - g->pad_top;
    rows.slots = INT32_MAX;
    rows.begin = cs_clamp(-rows.first, 0, g->kernel_h);
    rows.end = cs_clamp(g->in_h - rows.first, rows.begin, g->kernel_h);
    cs_depthwise_row(g, linear, &rows, out);
    cs_finish(&linear->out, g->out_w * g->out_c, out);
  }
}

void cs_depthwise_conv2d_in_place(const cs_geometry* geometry, const cs_linear* linear, int8_t* data, int8_t* scratch) {
  const cs_geometry* g = geometry;
  const int32_t row_bytes = g->in_w * g->in_c;
  int8_t* out = data;
  int32_t next = 0; /* row of the padded image that the ring lacks */
  for (int32_t y = 0; y < g->out_h; ++y, out += g->out_w * g->out_c) {
    cs_row_ring rows = {scratch, row_bytes, y * g->stride % g->kernel_h, g->kernel_h, 0, g->kernel_h};
    /* An output row ends before the first input row that is not in the ring yet. */
    for (next = cs_maximum(next, y * g->stride); next < y * g->stride + g->kernel_h; ++next) {
      int8_t* slot = scratch + next % g->kernel_h * row_bytes;
      const int32_t row = next - g->pad_top;
      if (row >= 0 && row < g->in_h) {
        memcpy(slot, data + row * row_bytes, (uint32_t)row_bytes);
      } else {
        memset(slot, linear->in_zero_point, (uint32_t)row_bytes);
      }
    }
    cs_depthwise_row(g, linear, &rows, out);
    cs_finish(&linear->out, g->out_w * g->out_c, out);
  }
}
