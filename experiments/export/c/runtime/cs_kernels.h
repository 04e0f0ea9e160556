#ifndef CS_KERNELS_H
#define CS_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Int8 kernels of exported networks, in C99; of a library they need memcpy and memset. Each computes the same integers
 * as the interpreter of the project that the network was exported from, on every core: with the DSP instructions of
 * ARMv7E-M and later where the compiler has them (__ARM_FEATURE_DSP, __ARM_FEATURE_SIMD32), else in plain C.
 *
 * Images are stored by rows, pixels and channels, sequences by tokens and features. Sizes and strides are counted in
 * elements. `x`, `zx`: an input and its zero point, `y`: the output. Weights, tables and parameters are only read. An
 * output may not overlap an input unless it is said. Right shifts of negative numbers must round down (gcc, clang).
 *
 * R(sum, m) = (sum * m + 2^(shift - 1)) >> shift in 64 bits, 1 <= shift <= 62, the result in 32 bits. F(v) limits v to
 * [low, high] or, where there is a table, to [-128, 127] and gives table[v + 128]. */

/* From an integer to the stored output: F(zero_point + ...). */
typedef struct {
  const int8_t* table; /* 256 entries, or 0; `low` and `high` are then -128 and 127 */
  int32_t zero_point;  /* of the output, or of the table's index */
  int32_t low, high;   /* within [-128, 127] */
} cs_output;

/* A convolution or linear map: y = F(zero_point + R(bias[c] + sum of x * weight[c][...], multiplier[c])). */
typedef struct {
  /* Of each output channel kernel rows, columns and input channels / groups: int8, or two int4 to a byte, the first one
   * in the low half; each output channel begins with a new byte. Of int4 less than 2^17 for an output channel. */
  const int8_t* weight;
  /* [output channels][2]: bias, multiplier. -zx * (sum of the channel's weights) is part of the bias. */
  const int32_t* requantization;
  int32_t weight_bits; /* 8 or 4 */
  int32_t shift;
  int32_t in_zero_point; /* zx: the value outside of the image */
  cs_output out;
} cs_linear;

/* Shape of a convolution or pooling. Where the input buffer holds a window of the image, or a region of the output is
 * computed, sizes are those of the window and of the region, and the padding becomes
 *   pad_top = padding.top + window.y - region.y * stride, pad_left likewise,
 * which may be negative. The window holds every pixel of the image that the region needs, so that what lies outside of
 * the window lies outside of the image. */
typedef struct {
  int32_t in_h, in_w, in_c;
  int32_t out_h, out_w, out_c;
  int32_t kernel_h, kernel_w;
  int32_t stride;
  int32_t pad_top, pad_left;
  int32_t groups;  /* divides in_c and out_c */
  int32_t in_row;  /* from one row of input pixels to the next: in_w * in_c where the buffer holds no more */
  int32_t out_row; /* of output pixels likewise; `out` points to the region's first pixel */
} cs_geometry;

/* --- cs_conv.c (needs cs_linear.c) --- */

/* Scratch: 2 * kernel_h * kernel_w * in_c / groups bytes, all of which are written. */
void cs_conv2d(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out, int8_t* scratch);

/* kernel 1, no padding, one group. */
void cs_pointwise_conv2d(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out);

/* All tokens of a patch embedding (kernel = stride = patch); `out` is dense, out_h * out_w tokens of out_c.
 * Scratch: patch * patch * in_c bytes, all of which are written. */
void cs_patch_embed(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out,
                    int8_t* scratch);
/* Token `token` only; `out` points to its out_c elements. A patch that lies in memory already, row by row and without a
 * border, is a row of cs_fully_connected. */
void cs_patch_embed_token(const cs_geometry* geometry, const cs_linear* linear, int32_t token, const int8_t* in,
                          int8_t* out, int8_t* scratch);

/* --- cs_depthwise.c --- */

/* groups == in_c; out_c is a multiple of it: output channel c reads input channel c / (out_c / in_c). */
void cs_depthwise_conv2d(const cs_geometry* geometry, const cs_linear* linear, const int8_t* in, int8_t* out);

/* The output overwrites the input from its first byte on; both are dense, out_c == in_c, out_h <= in_h and
 * out_w <= in_w. Scratch: kernel_h * in_w * in_c bytes, all of which are written: the rows of the input (zx above and
 * below it) that the next output row reads, as a ring. */
void cs_depthwise_conv2d_in_place(const cs_geometry* geometry, const cs_linear* linear, int8_t* data, int8_t* scratch);

/* --- cs_linear.c --- */

/* Of `rows` rows of in_c elements, in_stride apart, rows of out_c elements, out_stride apart. A part of the layer's
 * output channels: a `linear` whose weight and requantization point to the first one. */
void cs_fully_connected(const cs_linear* linear, int32_t rows, int32_t in_c, int32_t out_c, const int8_t* in,
                        int32_t in_stride, int8_t* out, int32_t out_stride);

/* --- cs_attention.c: one row of one head; q, keys, values have the zero point 0 --- */

typedef struct {
  int32_t softmax_multiplier, softmax_shift; /* from scores to exponents in 1/2^10 */
  int32_t multiplier, shift;                 /* from the context's means to the output */
  cs_output out;                             /* without a table */
} cs_attention;

/* scores[j] = sum of q * keys[j]; `tokens` rows of keys, key_stride apart. */
void cs_attention_scores(int32_t tokens, int32_t head_dim, const int8_t* q, const int8_t* keys, int32_t key_stride,
                         int32_t* scores);

/* Weights from 0 to 255 with zero point -128, 255 for the largest score, see exponential() and attention_weight() in
 * trainer/quantize/arithmetic.hpp. `weights` may begin at the scores' byte. */
void cs_softmax(const cs_attention* attention, int32_t tokens, int32_t* scores, int8_t* weights);

/* out[e] = F(zero_point + R(mean of values[j][e] weighted by weights[j] + 128, multiplier)), e < head_dim; the mean in
 * 1/2^16 as weighted_mean() there. */
void cs_attention_context(const cs_attention* attention, int32_t tokens, int32_t head_dim, const int8_t* weights,
                          const int8_t* values, int32_t value_stride, int8_t* out);

/* --- cs_moe.c (needs cs_linear.c) --- */

/* A mixture of experts, row by row: y = F(zero_point + R(sum over the top_k experts e with the largest logits l_e, of
 * equal ones the lower, of (share_e * (b2[e][c] + sum of hidden_e * w2[e][c]) + 2^14) >> 15, multiplier2[c], shift2)),
 *   l_e      = router_bias[e] + sum of x * router[e]
 *   share_e  = ((e_e << 15) + total / 2) / total, of 2^15; e_e of max(l) - l_e as softmax has it, total: of all experts
 *   hidden_e = the row of a linear map to `hidden` channels of 8 bits.
 * Biases have the zero points in them: of x in router_bias and requantization1, of hidden_e in b2. */
typedef struct {
  int32_t experts, top_k, hidden;
  int32_t softmax_multiplier, softmax_shift; /* from logits to exponents in 1/2^10 */
  const int8_t* router;                      /* [experts][channels] */
  const int32_t* router_bias;                /* [experts] */
  const int8_t* w1;                          /* [experts][hidden][channels] */
  const int32_t* requantization1;            /* [experts][hidden][2]: bias, multiplier */
  int32_t shift1;
  cs_output hidden_out;       /* of hidden_e; with a table */
  const int8_t* w2;           /* [experts][channels][hidden] */
  const int32_t* b2;          /* [experts][channels] */
  const int32_t* multiplier2; /* [channels] */
  int32_t shift2;
  cs_output out; /* without a table */
} cs_mixture;

/* Of `rows` rows of `channels` elements. May be in place (then with equal strides).
 * Scratch: 4 * experts + 4 * channels + hidden, rounded up to 4, bytes, aligned to words, all of which are written. */
void cs_moe(const cs_mixture* mixture, int32_t rows, int32_t channels, const int8_t* in, int32_t in_stride, int8_t* out,
            int32_t out_stride, int8_t* scratch);

/* --- cs_norm.c --- */

typedef struct {
  const int32_t* requantization; /* [channels][2]: bias, multiplier */
  int64_t epsilon;               /* layer norm */
  int32_t shift;                 /* batch norm: at most 30 */
  int32_t in_zero_point;         /* batch norm */
  cs_output out;
} cs_norm;

/* y = F(zero_point + ((x - zx) * multiplier[c] + bias[c] + 2^(shift - 1)) >> shift) in 32 bits. May be in place. */
void cs_batch_norm(const cs_norm* norm, int32_t rows, int32_t channels, const int8_t* in, int8_t* out);

/* Of each row, see quantized_network.hpp. May be in place (then with equal strides). */
void cs_layer_norm(const cs_norm* norm, int32_t rows, int32_t channels, const int8_t* in, int32_t in_stride,
                   int8_t* out, int32_t out_stride);

/* --- cs_elementwise.c, which all others need; additions and activations may be in place --- */

typedef struct {
  int32_t shift;         /* 1 to 30 */
  int32_t zero_point[2]; /* of the inputs; position embeddings have 0 for the second one */
  int32_t multiplier[2];
  cs_output out;
} cs_addition;

/* y = F(zero_point + ((a - za) * multiplier[0] + (b - zb) * multiplier[1] + 2^(shift - 1)) >> shift) in 32 bits. The
 * position embedding is this with its table of weights as `b`. */
void cs_add(const cs_addition* addition, int32_t count, const int8_t* a, const int8_t* b, int8_t* out);

/* F(x) alone: a lookup or a clamp. */
void cs_activation(const cs_output* output, int32_t count, const int8_t* in, int8_t* out);

/* Of one input of a concatenation: y = F(zero_point + ((x - zx) * multiplier + 2^(shift - 1)) >> shift) in 32 bits, of
 * `rows` rows of `channels`; `out` points to the input's first channel in the first row. */
typedef struct {
  int32_t multiplier, shift;
  int32_t in_zero_point;
  cs_output out;
} cs_rescaling;
void cs_concat_input(const cs_rescaling* rescaling, int32_t rows, int32_t channels, const int8_t* in, int32_t in_stride,
                     int8_t* out, int32_t out_stride);

/* Rows of a table by their numbers. */
void cs_token_embed(int32_t tokens, int32_t width, const int8_t* table, const int32_t* ids, int8_t* out);

/* (in_h, in_w, in_c) -> (factor * in_h, factor * in_w, in_c), all dense. */
void cs_upsample(int32_t in_h, int32_t in_w, int32_t in_c, int32_t factor, const int8_t* in, int8_t* out);

/* --- cs_pool.c --- */

/* The largest of a window's pixels inside the image. */
void cs_max_pool(const cs_geometry* geometry, const int8_t* in, int8_t* out);

/* F(zero_point + R(sum of (x - zx) over the window's pixels inside the image, multiplier)). */
void cs_average_pool(const cs_geometry* geometry, const cs_rescaling* rescaling, const int8_t* in, int8_t* out);

/* The same over all `positions` pixels or tokens. */
void cs_global_average_pool(const cs_rescaling* rescaling, int32_t positions, int32_t channels, const int8_t* in,
                            int8_t* out);

#ifdef __cplusplus
}
#endif

#endif
