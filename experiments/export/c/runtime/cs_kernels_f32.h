#ifndef CS_KERNELS_F32_H
#define CS_KERNELS_F32_H

#include "cs_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kernels of cs_kernels.h in floating point: the same calls on float buffers, to be linked with the C library's
 * mathematical functions. Sums are taken in the order of the elements. */

typedef enum { CS_NO_ACTIVATION, CS_RELU, CS_RELU6, CS_HARD_SWISH, CS_GELU } cs_activation_kind;

/* y = activation(bias[c] + sum of x * weight[c][...]); outside of an image lies 0. */
typedef struct {
  const float* weight; /* of each output channel kernel rows, columns and input channels / groups */
  const float* bias;
  cs_activation_kind activation;
} cs_linear_f32;

/* cs_conv_f32.c (needs cs_linear_f32.c); scratch as in int8, in floats. */
void cs_conv2d_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out,
                   float* scratch);
void cs_pointwise_conv2d_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out);
void cs_patch_embed_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out,
                        float* scratch);
void cs_patch_embed_token_f32(const cs_geometry* geometry, const cs_linear_f32* linear, int32_t token, const float* in,
                              float* out, float* scratch);

/* cs_depthwise_f32.c */
void cs_depthwise_conv2d_f32(const cs_geometry* geometry, const cs_linear_f32* linear, const float* in, float* out);
void cs_depthwise_conv2d_in_place_f32(const cs_geometry* geometry, const cs_linear_f32* linear, float* data,
                                      float* scratch);

/* cs_linear_f32.c */
void cs_fully_connected_f32(const cs_linear_f32* linear, int32_t rows, int32_t in_c, int32_t out_c, const float* in,
                            int32_t in_stride, float* out, int32_t out_stride);

/* cs_attention_f32.c; scores are those of q * keys / sqrt(head_dim). The shares may be the scores' buffer. */
void cs_attention_scores_f32(int32_t tokens, int32_t head_dim, const float* q, const float* keys, int32_t key_stride,
                             float* scores);
void cs_softmax_f32(int32_t tokens, const float* scores, float* shares);
void cs_attention_context_f32(int32_t tokens, int32_t head_dim, const float* shares, const float* values,
                              int32_t value_stride, float* out);

/* cs_moe_f32.c (needs cs_attention_f32.c); shares are a softmax of the logits. May be in place (then with equal
 * strides). Scratch: experts + hidden + channels floats. */
typedef struct {
  int32_t experts, top_k, hidden;
  const float *router, *router_bias; /* as in int8 */
  const float *w1, *b1;
  const float *w2, *b2;
  cs_activation_kind activation; /* of the hidden values */
} cs_mixture_f32;
void cs_moe_f32(const cs_mixture_f32* mixture, int32_t rows, int32_t channels, const float* in, int32_t in_stride,
                float* out, int32_t out_stride, float* scratch);

/* cs_norm_f32.c; batch norm: y = activation(x * scale[c] + shift[c]), in place too. */
typedef struct {
  const float *scale, *shift; /* of each channel */
  float epsilon;              /* layer norm */
  cs_activation_kind activation;
} cs_norm_f32;
void cs_batch_norm_f32(const cs_norm_f32* norm, int32_t rows, int32_t channels, const float* in, float* out);
void cs_layer_norm_f32(const cs_norm_f32* norm, int32_t rows, int32_t channels, const float* in, int32_t in_stride,
                       float* out, int32_t out_stride);

/* cs_elementwise_f32.c (needs cs_elementwise.c); additions and activations may be in place. */
void cs_add_f32(cs_activation_kind activation, int32_t count, const float* a, const float* b, float* out);
void cs_activation_f32(cs_activation_kind activation, int32_t count, const float* in, float* out);
void cs_concat_input_f32(int32_t rows, int32_t channels, const float* in, int32_t in_stride, float* out,
                         int32_t out_stride);
void cs_token_embed_f32(int32_t tokens, int32_t width, const float* table, const int32_t* ids, float* out);
void cs_upsample_f32(int32_t in_h, int32_t in_w, int32_t in_c, int32_t factor, const float* in, float* out);

/* cs_pool_f32.c; the average divides by kernel_h * kernel_w. */
void cs_max_pool_f32(const cs_geometry* geometry, const float* in, float* out);
void cs_average_pool_f32(const cs_geometry* geometry, const float* in, float* out);
void cs_global_average_pool_f32(int32_t positions, int32_t channels, const float* in, float* out);

#ifdef __cplusplus
}
#endif

#endif
