#ifndef CS_WINDOW_H
#define CS_WINDOW_H

#include "cs_arithmetic.h"

/* Where convolutions and poolings read. The same for int8 and fp32: elements are `size` bytes, and what lies outside of
 * an image is filled with the byte `fill`: zx, or 0 for the bytes of 0.0f. */

/* The part of an output pixel's window inside the image, in input rows and columns; empty where an end is not behind
 * its beginning. */
typedef struct {
  int32_t top, bottom, left, right;
} cs_window;

CS_INLINE cs_window cs_window_of(const cs_geometry* g, int32_t y, int32_t x) {
  const int32_t top = y * g->stride - g->pad_top, left = x * g->stride - g->pad_left;
  cs_window window;
  window.top = cs_maximum(top, 0);
  window.bottom = cs_minimum(top + g->kernel_h, g->in_h);
  window.left = cs_maximum(left, 0);
  window.right = cs_minimum(left + g->kernel_w, g->in_w);
  return window;
}

/* Bytes at any address: without a call, in words where these may be unaligned. */
CS_INLINE void cs_copy(char* to, const char* from, int32_t bytes) {
#if defined(CS_DSP)
  for (; bytes >= 16; bytes -= 16, from += 16, to += 16) {
    memcpy(to, from, 4);
    memcpy(to + 4, from + 4, 4);
    memcpy(to + 8, from + 8, 4);
    memcpy(to + 12, from + 12, 4);
  }
  if (bytes >= 4) {
    for (; bytes > 4; bytes -= 4, from += 4, to += 4) {
      memcpy(to, from, 4);
    }
    memcpy(to + bytes - 4, from + bytes - 4, 4); /* may overlap the one before */
    return;
  }
  for (; bytes > 0; --bytes) {
    *to++ = *from++;
  }
#else
  memcpy(to, from, (uint32_t)bytes);
#endif
}

/* Gathers the window of output pixel (y, x), channels [first, first + channels) of each input pixel. */
static inline void cs_gather(const cs_geometry* g, int32_t size, int32_t fill, int32_t y, int32_t x, int32_t first,
                             int32_t channels, const void* in, void* out) {
  const int32_t top = y * g->stride - g->pad_top, left = x * g->stride - g->pad_left;
  const int32_t begin = cs_clamp(-left, 0, g->kernel_w), end = cs_clamp(g->in_w - left, begin, g->kernel_w);
  const int32_t pixel = size * channels;
  char* to = out;
  for (int32_t ky = 0; ky < g->kernel_h; ++ky, to += g->kernel_w * pixel) {
    if (top + ky < 0 || top + ky >= g->in_h || begin >= end) {
      memset(to, fill, (uint32_t)(g->kernel_w * pixel));
      continue;
    }
    const char* from = (const char*)in + size * ((top + ky) * g->in_row + (left + begin) * g->in_c + first);
    if (end - begin < g->kernel_w) {
      memset(to, fill, (uint32_t)(g->kernel_w * pixel));
    }
    if (channels == g->in_c) {
      cs_copy(to + begin * pixel, from, (end - begin) * pixel);
    } else {
      for (int32_t kx = begin; kx < end; ++kx, from += size * g->in_c) {
        cs_copy(to + kx * pixel, from, pixel);
      }
    }
  }
}

/* The kernel_h input rows below one output row: row ky is slot first + ky of `slots`, in a ring. */
typedef struct {
  const char* base;
  int32_t stride; /* bytes from slot to slot */
  int32_t first, slots;
  int32_t begin, end; /* the ky that exist */
} cs_row_ring;

CS_INLINE const void* cs_ring_row(const cs_row_ring* rows, int32_t ky) {
  const int32_t slot = rows->first + ky;
  return rows->base + (slot < rows->slots ? slot : slot - rows->slots) * rows->stride;
}

/* Of output row y, in the image itself. */
static inline cs_row_ring cs_rows_of_image(const cs_geometry* g, int32_t size, int32_t y, const void* in) {
  cs_row_ring rows;
  rows.base = in;
  rows.stride = size * g->in_row;
  rows.first = y * g->stride - g->pad_top;
  rows.slots = INT32_MAX;
  rows.begin = cs_clamp(-rows.first, 0, g->kernel_h);
  rows.end = cs_clamp(g->in_h - rows.first, rows.begin, g->kernel_h);
  return rows;
}

/* Of output row y, copied to the ring `scratch` before the output overwrites the image: y counts up from 0, and `next`,
 * 0 before the first one, is the row of the padded image that the ring lacks. An output row ends before the first input
 * row that is not in the ring yet. */
static inline cs_row_ring cs_kept_rows(const cs_geometry* g, int32_t size, int32_t fill, int32_t y, int32_t* next,
                                       const void* image, void* scratch) {
  const int32_t bytes = size * g->in_w * g->in_c, first = y * g->stride;
  for (*next = cs_maximum(*next, first); *next < first + g->kernel_h; ++*next) {
    char* slot = (char*)scratch + *next % g->kernel_h * bytes;
    const int32_t row = *next - g->pad_top;
    if (row >= 0 && row < g->in_h) {
      cs_copy(slot, (const char*)image + row * bytes, bytes);
    } else {
      memset(slot, fill, (uint32_t)bytes);
    }
  }
  const cs_row_ring rows = {scratch, bytes, first % g->kernel_h, g->kernel_h, 0, g->kernel_h};
  return rows;
}

#endif
