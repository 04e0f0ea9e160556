#ifndef CS_FLOAT_H
#define CS_FLOAT_H

#include <math.h>
#include <string.h>

#include "cs_kernels_f32.h"

/* What the fp32 kernels share. */

static inline float cs_activate(cs_activation_kind kind, float x) {
  switch (kind) {
    case CS_RELU:
      return fmaxf(x, 0.0f);
    case CS_RELU6:
      return fminf(fmaxf(x, 0.0f), 6.0f);
    case CS_HARD_SWISH:
      return x * fminf(fmaxf(x + 3.0f, 0.0f), 6.0f) / 6.0f;
    case CS_GELU:
      return 0.5f * x * (1.0f + erff(x * 0.70710678f)); /* 1 / sqrt(2) */
    case CS_NO_ACTIVATION:
      break;
  }
  return x;
}

static inline float cs_dot_f32(int32_t count, const float* a, const float* b, float sum) {
  for (int32_t k = 0; k < count; ++k) {
    sum += a[k] * b[k];
  }
  return sum;
}

#endif
