#ifndef KERNEL_CASES_H
#define KERNEL_CASES_H

#include "cs_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Random calls of the exported kernels: the same on every machine, so that a checksum compares two of them. */

enum kernel {
  CONV2D,
  POINTWISE,
  DEPTHWISE,
  DEPTHWISE_IN_PLACE,
  PATCH_EMBED,
  PATCH_EMBED_TOKEN,
  FULLY_CONNECTED,
  SCORES,
  SOFTMAX,
  CONTEXT,
  MIXTURE,
  BATCH_NORM,
  LAYER_NORM,
  ADD,
  ACTIVATION,
  CONCAT_INPUT,
  TOKEN_EMBED,
  UPSAMPLE,
  MAX_POOL,
  AVERAGE_POOL,
  GLOBAL_AVERAGE_POOL,
  KERNELS
};

enum { CASE_BYTES = 16384, CASE_CHANNELS = 512 };

/* One call; what it does not use holds anything. Arrays are static: one case exists at a time. */
struct kernel_case {
  enum kernel kernel;
  cs_geometry geometry; /* fully_connected: in_row and out_row are the strides; of a row: in_c, out_c */
  int32_t rows;         /* rows, tokens or elements */
  int32_t index;        /* the token of PATCH_EMBED_TOKEN, the factor of UPSAMPLE; MIXTURE: not 0 where in place */
  cs_linear linear;
  cs_attention attention;
  cs_mixture mixture;
  cs_norm norm;
  cs_addition addition;
  cs_rescaling rescaling;
  int8_t *in, *other, *out, *scratch; /* CASE_BYTES each, aligned to words */
  int32_t scratch_bytes;              /* what the kernel says that it writes; 0: no scratch */
};

/* Case `number`; kernels take turns. */
void make_case(uint32_t number, struct kernel_case* call);
void run_case(struct kernel_case* call);
/* Of `out`. */
uint32_t checksum(const struct kernel_case* call);

#ifdef __cplusplus
}
#endif

#endif
