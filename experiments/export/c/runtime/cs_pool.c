#include "cs_window.h"

static int32_t cs_window_maximum(const cs_geometry* g, const cs_window* window, const int8_t* in) {
  int32_t largest = -128;
  for (int32_t y = window->top; y < window->bottom; ++y) {
    const int8_t* x = in + y * g->in_row + window->left * g->in_c;
    for (int32_t n = window->left; n < window->right; ++n, x += g->in_c) {
      largest = cs_maximum(largest, *x);
    }
  }
  return largest;
}

static int32_t cs_window_sum(const cs_geometry* g, const cs_window* window, int32_t zero_point, const int8_t* in) {
  int32_t sum = 0;
  for (int32_t y = window->top; y < window->bottom; ++y) {
    const int8_t* x = in + y * g->in_row + window->left * g->in_c;
    for (int32_t n = window->left; n < window->right; ++n, x += g->in_c) {
      sum += *x - zero_point;
    }
  }
  return sum;
}

void cs_max_pool(const cs_geometry* geometry, const int8_t* in, int8_t* out) {
  for (int32_t y = 0; y < geometry->out_h; ++y, out += geometry->out_row) {
    int8_t* to = out;
    for (int32_t x = 0; x < geometry->out_w; ++x) {
      const cs_window window = cs_window_of(geometry, y, x);
      for (int32_t c = 0; c < geometry->in_c; ++c) {
        *to++ = (int8_t)cs_window_maximum(geometry, &window, in + c);
      }
    }
  }
}

void cs_average_pool(const cs_geometry* geometry, const cs_rescaling* rescaling, const int8_t* in, int8_t* out) {
  for (int32_t y = 0; y < geometry->out_h; ++y, out += geometry->out_row) {
    int8_t* to = out;
    for (int32_t x = 0; x < geometry->out_w; ++x) {
      const cs_window window = cs_window_of(geometry, y, x);
      for (int32_t c = 0; c < geometry->in_c; ++c) {
        const int32_t sum = cs_window_sum(geometry, &window, rescaling->in_zero_point, in + c);
        *to++ = cs_requantize(sum, rescaling->multiplier, rescaling->shift, rescaling->out.zero_point);
      }
    }
    cs_finish(&rescaling->out, geometry->out_w * geometry->in_c, out);
  }
}

void cs_global_average_pool(const cs_rescaling* rescaling, int32_t positions, int32_t channels, const int8_t* in,
                            int8_t* out) {
  for (int32_t c = 0; c < channels; ++c) {
    int32_t sum = -rescaling->in_zero_point * positions;
    const int8_t* x = in + c;
    for (int32_t n = 0; n < positions; ++n, x += channels) {
      sum += *x;
    }
    out[c] = cs_requantize(sum, rescaling->multiplier, rescaling->shift, rescaling->out.zero_point);
  }
  cs_finish(&rescaling->out, channels, out);
}
