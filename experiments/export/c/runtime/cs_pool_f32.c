#include "cs_float.h"
#include "cs_window.h"

static float cs_window_maximum_f32(const cs_geometry* g, const cs_window* window, const float* in) {
  float largest = in[window->top * g->in_row + window->left * g->in_c];
  for (int32_t y = window->top; y < window->bottom; ++y) {
    for (int32_t x = window->left; x < window->right; ++x) {
      largest = fmaxf(largest, in[y * g->in_row + x * g->in_c]);
    }
  }
  return largest;
}

static float cs_window_average_f32(const cs_geometry* g, const cs_window* window, const float* in) {
  float sum = 0.0f;
  for (int32_t y = window->top; y < window->bottom; ++y) {
    for (int32_t x = window->left; x < window->right; ++x) {
      sum += in[y * g->in_row + x * g->in_c];
    }
  }
  return sum / (float)(g->kernel_h * g->kernel_w);
}

/* `pool` of each window and channel. */
CS_INLINE void cs_pool_f32(const cs_geometry* g, const float* in, float* out,
                           float (*pool)(const cs_geometry*, const cs_window*, const float*)) {
  for (int32_t y = 0; y < g->out_h; ++y, out += g->out_row) {
    float* to = out;
    for (int32_t x = 0; x < g->out_w; ++x) {
      const cs_window window = cs_window_of(g, y, x);
      for (int32_t c = 0; c < g->in_c; ++c) {
        *to++ = pool(g, &window, in + c);
      }
    }
  }
}

void cs_max_pool_f32(const cs_geometry* geometry, const float* in, float* out) {
  cs_pool_f32(geometry, in, out, cs_window_maximum_f32);
}

void cs_average_pool_f32(const cs_geometry* geometry, const float* in, float* out) {
  cs_pool_f32(geometry, in, out, cs_window_average_f32);
}

void cs_global_average_pool_f32(int32_t positions, int32_t channels, const float* in, float* out) {
  for (int32_t c = 0; c < channels; ++c) {
    float sum = 0.0f;
    for (int32_t n = 0; n < positions; ++n) {
      sum += in[n * channels + c];
    }
    out[c] = sum / (float)positions;
  }
}
