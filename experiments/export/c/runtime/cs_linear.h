#ifndef CS_LINEAR_H
#define CS_LINEAR_H

#include "cs_arithmetic.h"

/* Linear maps of rows that other kernels gather: `count` elements to `out_c`. */
void cs_linear_one_row(const cs_linear* linear, int32_t count, int32_t out_c, const int8_t* x, int8_t* out);
/* Both outputs may be the same row where both inputs are equal. */
void cs_linear_two_rows(const cs_linear* linear, int32_t count, int32_t out_c, const int8_t* x0, const int8_t* x1,
                        int8_t* out0, int8_t* out1);

#endif
