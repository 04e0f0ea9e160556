#include "cs_window.h"

/* Where a tap of the kernel reads at one output pixel: channel c of the input at x[c & mask]. Outside of the image that
 * is the zero point for all channels. */
typedef struct {
  const int8_t* x;
  int32_t mask; /* -1, or 0 outside */
} cs_tap;

/* What is the same for all pixels of a row. */
typedef struct {
  const cs_geometry* g;
  const cs_linear* linear;
  cs_row_ring rows;
  int8_t outside[4]; /* a word of the zero point */
} cs_depthwise_row;

static cs_tap cs_tap_at(const cs_depthwise_row* row, int32_t left, int32_t tap) {
  const cs_geometry* g = row->g;
  const int32_t ky = tap / g->kernel_w, x = left + tap % g->kernel_w;
  cs_tap result = {row->outside, 0};
  if (ky >= row->rows.begin && ky < row->rows.end && x >= 0 && x < g->in_w) {
    result.x = (const int8_t*)cs_ring_row(&row->rows, ky) + x * g->in_c;
    result.mask = -1;
  }
  return result;
}

/* All of them, without divisions. */
static void cs_all_taps(const cs_depthwise_row* row, int32_t left, cs_tap* taps) {
  const cs_geometry* g = row->g;
  for (int32_t ky = 0; ky < g->kernel_h; ++ky) {
    const int row_exists = ky >= row->rows.begin && ky < row->rows.end;
    const int8_t* in = row_exists ? cs_ring_row(&row->rows, ky) : 0;
    for (int32_t x = left; x < left + g->kernel_w; ++x, ++taps) {
      const int exists = row_exists && x >= 0 && x < g->in_w;
      taps->x = exists ? in + x * g->in_c : row->outside;
      taps->mask = exists ? -1 : 0;
    }
  }
}

/* Taps of a pixel that are kept: kernels up to 7 x 7. */
enum { CS_MOST_TAPS = 49 };

#if defined(CS_DSP)

/* Four channels of one tap. `stride` bytes are between the weights of neighbouring channels. */
CS_INLINE void cs_tap_4(const int8_t* x, const int8_t* w, int32_t stride, int32_t sums[4]) {
  const uint32_t word = cs_load4(x);
  const uint32_t even = cs_even_bytes(word), odd = cs_odd_bytes(word);
  sums[0] = cs_multiply_low(even, w[0], sums[0]);
  sums[1] = cs_multiply_low(odd, w[stride], sums[1]);
  sums[2] = cs_multiply_high(even, w[2 * stride], sums[2]);
  sums[3] = cs_multiply_high(odd, w[3 * stride], sums[3]);
}

CS_INLINE void cs_results_4(const int32_t sums[4], const int32_t* rq, const cs_quick_output* quick, int8_t* out) {
  out[0] = cs_requantize_quick(sums[0], rq[1], quick);
  out[1] = cs_requantize_quick(sums[1], rq[3], quick);
  out[2] = cs_requantize_quick(sums[2], rq[5], quick);
  out[3] = cs_requantize_quick(sums[3], rq[7], quick);
}

/* Channels [0, channels), a multiple of 4, of a pixel with all taps of a 3 x 3 kernel inside. */
static void cs_pixel_3x3(const cs_depthwise_row* row, int32_t channels, int32_t left, int8_t* out) {
  const int32_t pixel = row->g->in_c;
  const int8_t* x0 = (const int8_t*)cs_ring_row(&row->rows, 0) + left * pixel;
  const int8_t* x1 = (const int8_t*)cs_ring_row(&row->rows, 1) + left * pixel;
  const int8_t* x2 = (const int8_t*)cs_ring_row(&row->rows, 2) + left * pixel;
  const int8_t* w = row->linear->weight;
  const int32_t* rq = row->linear->requantization;
  const cs_quick_output quick = cs_quick(row->linear->shift, row->linear->out.zero_point);
  for (const int8_t* end = out + channels; out != end; out += 4, x0 += 4, x1 += 4, x2 += 4, w += 36, rq += 8) {
    int32_t sums[4] = {rq[0], rq[2], rq[4], rq[6]};
    cs_tap_4(x0, w, 9, sums);
    cs_tap_4(x0 + pixel, w + 1, 9, sums);
    cs_tap_4(x0 + 2 * pixel, w + 2, 9, sums);
    cs_tap_4(x1, w + 3, 9, sums);
    cs_tap_4(x1 + pixel, w + 4, 9, sums);
    cs_tap_4(x1 + 2 * pixel, w + 5, 9, sums);
    cs_tap_4(x2, w + 6, 9, sums);
    cs_tap_4(x2 + pixel, w + 7, 9, sums);
    cs_tap_4(x2 + 2 * pixel, w + 8, 9, sums);
    cs_results_4(sums, rq, &quick, out);
  }
}

/* Channel c of a tap, and on to the next one: gcc 12 takes three instructions more. */
CS_INLINE const int8_t* cs_next_tap(const cs_tap** tap, int32_t c) {
  const int8_t* x;
  int32_t mask;
  __asm__("ldrd %0, %1, [%2], #8" : "=&r"(x), "=&r"(mask), "+r"(*tap) : : "memory");
  return x + (c & mask);
}

/* Channels c to c + 3 of a pixel of any kernel, some taps of which may lie outside. */
CS_INLINE void cs_quad(const cs_tap* taps, int32_t count, int32_t c, const int8_t* w, const int32_t* rq,
                       const cs_quick_output* quick, int8_t* out) {
  int32_t sums[4] = {rq[0], rq[2], rq[4], rq[6]};
  int32_t left = count;
  do {
    cs_tap_4(cs_next_tap(&taps, c), w, count, sums);
    ++w;
  } while (--left != 0);
  cs_results_4(sums, rq, quick, out + c);
}

CS_NOINLINE void cs_pixel_4(const cs_linear* linear, int32_t channels, int32_t count, const cs_tap* taps, int8_t* out) {
  const cs_quick_output quick = cs_quick(linear->shift, linear->out.zero_point);
  const int8_t* w = linear->weight;
  const int32_t* rq = linear->requantization;
  for (int32_t c = 0; c < channels; c += 4, w += 4 * count, rq += 8) {
    cs_quad(taps, count, c, w, rq, &quick, out);
  }
}

/* With int4, unpacked four channels at a time. */
CS_NOINLINE void cs_pixel_4_of_int4(const cs_linear* linear, int32_t channels, int32_t count, const cs_tap* taps,
                                    int8_t* out) {
  const cs_quick_output quick = cs_quick(linear->shift, linear->out.zero_point);
  const int8_t* packed = linear->weight;
  const int32_t* rq = linear->requantization;
  int8_t unpacked[4 * CS_MOST_TAPS + 1];
  for (int32_t c = 0; c < channels; c += 4, rq += 8) {
    for (int8_t* to = unpacked; to != unpacked + 4 * count;) {
      /* A last high half that is no weight is overwritten by the next channel, or lies behind all. */
      int8_t* end = to + count;
      for (; to < end; to += 2, ++packed) {
        to[0] = (int8_t)cs_weight(packed, 0, 4);
        to[1] = (int8_t)cs_weight(packed, 1, 4);
      }
      to = end;
    }
    cs_quad(taps, count, c, unpacked, rq, &quick, out);
  }
}

#endif

/* Output channel c of the pixel whose window begins at column `left`; `taps` are its taps or 0. */
static int8_t cs_channel(const cs_depthwise_row* row, int32_t c, int32_t left, const cs_tap* taps) {
  const cs_geometry* g = row->g;
  const cs_linear* linear = row->linear;
  const int32_t bits = linear->weight_bits, count = g->kernel_h * g->kernel_w;
  const int8_t* w = linear->weight + c * cs_weight_bytes(count, bits);
  const int32_t* rq = linear->requantization + 2 * c;
  const int32_t in_channel = g->out_c == g->in_c ? c : c / (g->out_c / g->in_c);
  int32_t sum = rq[0];
  for (int32_t t = 0; t < count; ++t) {
    const cs_tap tap = taps != 0 ? taps[t] : cs_tap_at(row, left, t);
    sum += tap.x[in_channel & tap.mask] * cs_weight(w, t, bits);
  }
  return cs_requantize(sum, rq[1], linear->shift, linear->out.zero_point);
}

static void cs_pixel(const cs_depthwise_row* row, int32_t left, int8_t* out) {
  const cs_geometry* g = row->g;
  const int32_t count = g->kernel_h * g->kernel_w;
  int32_t c = 0;
#if defined(CS_DSP)
  const int by_four = cs_is_quick(row->linear->shift) && count <= CS_MOST_TAPS && g->out_c == g->in_c;
  const int32_t quads = by_four ? g->out_c & ~3 : 0;
  if (row->linear->weight_bits == 8 && g->kernel_h == 3 && g->kernel_w == 3 && row->rows.end - row->rows.begin == 3 &&
      left >= 0 && left + 3 <= g->in_w) {
    cs_pixel_3x3(row, quads, left, out);
    c = quads;
  }
#endif
  if (c == g->out_c) {
    return;
  }
  cs_tap kept[CS_MOST_TAPS];
  const cs_tap* taps = count <= CS_MOST_TAPS ? kept : 0;
  if (taps != 0) {
    cs_all_taps(row, left, kept);
  }
#if defined(CS_DSP)
  if (c < quads) {
    if (row->linear->weight_bits == 8) {
      cs_pixel_4(row->linear, quads, count, taps, out);
    } else {
      cs_pixel_4_of_int4(row->linear, quads, count, taps, out);
    }
    c = quads;
  }
#endif
  for (; c < g->out_c; ++c) {
    out[c] = cs_channel(row, c, left, taps);
  }
}

static void cs_output_row(const cs_geometry* g, const cs_linear* linear, const cs_row_ring* rows, int8_t* out) {
  cs_depthwise_row row = {g, linear, *rows, {0, 0, 0, 0}};
  memset(row.outside, linear->in_zero_point, sizeof row.outside);
  for (int32_t x = 0; x < g->out_w; ++x) {
    cs_pixel(&row, x * g->stride - g->pad_left, out + x * g->out_c);
  }
  cs_finish(&linear->out, g->out_w * g->out_c, out);
}

void cs_depthwise_conv2d(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out) {
  for (int32_t y = 0; y < geometry->out_h; ++y, out += geometry->out_row) {
    const cs_row_ring rows = cs_rows_of_image(geometry, 1, y, in);
    cs_output_row(geometry, linear, &rows, out);
  }
}

void cs_depthwise_conv2d_in_place(const cs_geometry* geometry, const cs_linear* linear, int8_t* data, int8_t* scratch) {
  const int32_t out_row = geometry->out_w * geometry->out_c;
  int32_t next = 0;
  for (int32_t y = 0; y < geometry->out_h; ++y) {
    const cs_row_ring rows = cs_kept_rows(geometry, 1, linear->in_zero_point, y, &next, data, scratch);
    cs_output_row(geometry, linear, &rows, data + y * out_row);
  }
}
