#pragma once

#include <cstdint>
#include <string>

#include "trainer/kernels/dense.hpp"

/// The dense kernels of the trainer: one narrow door, so that a faster backend replaces them without touching an
/// operator. All tensors are fp32, row-major, NHWC; every function is serial, allocates nothing beyond its
/// `scratch` (Eigen's product blocking buffers excepted), and gives the same bits for the same arguments at the same
/// alignment: callers pass tensors that start at multiples of 64 bytes. Parallel work happens outside, over chunks of
/// the batch. Results named d* are overwritten, not accumulated; arguments must not overlap unless it says so.
namespace cosearch::kernels {

// --- element-wise ----------------------------------------------------------------------------------------------

/// y (rows, columns) += bias (columns)
void add_bias(std::int64_t rows, std::int64_t columns, const float* bias, float* y);
/// db (columns) = sums of dy (rows, columns) over the rows
void bias_backward(std::int64_t rows, std::int64_t columns, const float* dy, float* db);

/// y = a + b; in place allowed.
void add(std::int64_t count, const float* a, const float* b, float* y);

/// The kinks' slopes are 0 for relu and relu6, those of the middle piece for hard_swish. gelu is the exact one, by
/// Abramowitz & Stegun 7.1.26 (absolute error of the distribution function below 1e-7).
enum class Activation { identity, relu, relu6, hard_swish, gelu };
/// y = f(x); in place allowed.
void activation(Activation kind, std::int64_t count, const float* x, float* y);
/// dx = f'(x) * dy; in place of dy allowed.
void activation_backward(Activation kind, std::int64_t count, const float* x, const float* dy, float* dx);

// --- rounding to integers --------------------------------------------------------------------------------------

/// x = scale * (clamp(round(x / scale), -128 - zero_point, 127 - zero_point)), halves up: what an int8 keeps of it.
void round_to_int8(std::int64_t count, float scale, float zero_point, float* x);
/// Each column of w (rows, columns) to the nearest multiples of its largest magnitude / steps; `largest` (columns)
/// receives these magnitudes.
void round_columns(std::int64_t rows, std::int64_t columns, float steps, const float* w, float* y, float* largest);

// --- normalisation ---------------------------------------------------------------------------------------------

/// y = scale * (x - mean) / sqrt(variance + epsilon) + shift by rows; `saved` (2 * rows) receives each row's mean and
/// reciprocal standard deviation for the backward pass.
void layer_norm(std::int64_t rows, std::int64_t columns, float epsilon, const float* x, const float* scale,
                const float* shift, float* y, float* saved);
/// dscale and dshift over all rows, and dx.
void layer_norm_backward(std::int64_t rows, std::int64_t columns, const float* x, const float* scale,
                         const float* saved, const float* dy, float* dx, float* dscale, float* dshift);

/// Mean and sum of squared deviations from it of each channel of x (rows, channels).
void batch_norm_statistics(std::int64_t rows, std::int64_t channels, const float* x, double* mean, double* deviation);
/// y = f(a * x + b) by channel; in place allowed. The affine form of batch norm, with the activation that follows.
void affine_activation(Activation kind, std::int64_t rows, std::int64_t channels, const float* x, const float* a,
                       const float* b, float* y);
/// With g = f'(a * x + b) * dy: per channel the sums of g and of g * (x - centre) over the rows.
void affine_activation_sums(Activation kind, std::int64_t rows, std::int64_t channels, const float* x, const float* a,
                            const float* b, const float* centre, const float* dy, double* sum, double* weighted_sum);
/// With g as above: dx = p * g + q * (x - centre) + r by channel; in place of dy allowed.
void affine_activation_backward(Activation kind, std::int64_t rows, std::int64_t channels, const float* x,
                                const float* a, const float* b, const float* centre, const float* p, const float* q,
                                const float* r, const float* dy, float* dx);

// --- pooling ---------------------------------------------------------------------------------------------------

struct PoolShape {
  std::int64_t batch = 1, height = 1, width = 1, channels = 1;
  std::int64_t out_height = 1, out_width = 1;
  std::int64_t kernel = 1, stride = 1, pad_top = 0, pad_left = 0;
};
/// The largest element of each window; positions outside the image do not count.
void max_pool(const PoolShape& shape, const float* x, float* y);
/// dx: each window's gradient goes to its first largest element.
void max_pool_backward(const PoolShape& shape, const float* x, const float* dy, float* dx);
/// Sum of each window divided by kernel * kernel; positions outside the image count as zeros.
void average_pool(const PoolShape& shape, const float* x, float* y);
void average_pool_backward(const PoolShape& shape, const float* dy, float* dx);
/// y (batch, channels) = mean over the positions of x (batch, positions, channels).
void global_average_pool(std::int64_t batch, std::int64_t positions, std::int64_t channels, const float* x, float* y);
void global_average_pool_backward(std::int64_t batch, std::int64_t positions, std::int64_t channels, const float* dy,
                                  float* dx);

// --- resizing --------------------------------------------------------------------------------------------------

/// x: (batch, height, width, channels), y: (batch, factor * height, factor * width, channels)
struct UpsampleShape {
  std::int64_t batch = 1, height = 1, width = 1, channels = 1, factor = 1;
};
/// Each pixel of x becomes a square of factor * factor pixels.
void upsample(const UpsampleShape& shape, const float* x, float* y);
/// dx: the sums over the squares.
void upsample_backward(const UpsampleShape& shape, const float* dy, float* dx);

// --- softmax and attention -------------------------------------------------------------------------------------

/// y = softmax(scale * x) by rows of (rows, columns); in place allowed.
void softmax(std::int64_t rows, std::int64_t columns, float scale, const float* x, float* y);
/// dx = scale * y * (dy - sum(dy * y)) by rows; in place of dy allowed.
void softmax_backward(std::int64_t rows, std::int64_t columns, float scale, const float* y, const float* dy, float* dx);

/// Cross entropy with label smoothing s: target = (1 - s) * one-hot + s / columns. Returns the sum of the
/// rows' losses; dx = gradient_scale * (softmax(x) - target); in place allowed.
[[nodiscard]] double softmax_cross_entropy(std::int64_t rows, std::int64_t columns, float smoothing,
                                           float gradient_scale, const float* x, const std::uint8_t* labels, float* dx);

/// The same with the target (1 - w) * (smoothed label) + w * teacher, teacher being probabilities (rows, columns), and
/// the loss and the gradient of each row times the weight of its label's class (null: 1), which leaves the teacher's
/// share of a row as it is.
[[nodiscard]] double distillation_cross_entropy(std::int64_t rows, std::int64_t columns, float smoothing, double w,
                                                float gradient_scale, const float* x, const std::uint8_t* labels,
                                                const float* class_weights, const float* teacher, float* dx);

/// The same with the loss and the gradient of each row times the weight of its label's class.
[[nodiscard]] double weighted_cross_entropy(std::int64_t rows, std::int64_t columns, float smoothing,
                                            float gradient_scale, const float* x, const std::uint8_t* labels,
                                            const float* class_weights, float* dx);

enum class RegressionLoss { squared, absolute };
/// Returns the sum of (x - target)^2, or |x - target|; dx = gradient_scale * its derivative (0 where x is the target).
[[nodiscard]] double regression_loss(RegressionLoss loss, std::int64_t size, float gradient_scale, const float* x,
                                     const float* target, float* dx);
/// The same of (1 - w) * loss(x, target) + w * loss(x, teacher): as cross entropy is linear in its target, a mixed
/// target of classes is a mixture of losses too. Of squares the gradient is that of the mixed numbers; of magnitudes
/// those would be a target that neither of the two has.
[[nodiscard]] double distillation_regression_loss(RegressionLoss loss, std::int64_t size, double w,
                                                  float gradient_scale, const float* x, const float* target,
                                                  const float* teacher, float* dx);

struct AttentionShape {
  std::int64_t batch = 1, tokens = 1, heads = 1, head_dim = 1;  // qkv: (batch, tokens, [3 | heads | head_dim])
};
/// y (batch, tokens, heads * head_dim) = softmax(q k' / sqrt(head_dim)) v for each head; `probabilities` (batch, heads,
/// tokens, tokens) receives the softmax for the backward pass.
void attention(const Dense& dense, const AttentionShape& shape, const float* qkv, float* y, float* probabilities);
/// dqkv; scratch: tokens * tokens floats.
void attention_backward(const Dense& dense, const AttentionShape& shape, const float* qkv, const float* probabilities,
                        const float* dy, float* dqkv, float* scratch);

// --- updates ---------------------------------------------------------------------------------------------------

/// sum[i] = part[0][offset + i] + part[1][offset + i] + ..., in this order, each sum rounded to the storage of `dense`;
/// parts >= 1.
void accumulate_in_order(const Dense& dense, std::int64_t count, std::int64_t parts, const float* const* part,
                         std::int64_t offset, float* sum);
[[nodiscard]] double sum_of_squares(std::int64_t count, const float* x);

/// One step of gradient descent with momentum: g = gradient_scale * gradient + decay * w, v = momentum * v + g,
/// w -= rate * v.
struct SgdStep {
  float rate, momentum, decay, gradient_scale;
};
void sgd_update(const SgdStep& step, std::int64_t count, const float* gradient, float* weight, float* velocity);

/// One step of AdamW (Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019):
/// w -= rate * decay * w, w -= rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).
/// The corrections are 1 / (1 - beta^t).
struct AdamwStep {
  float rate, beta1, beta2, epsilon, decay, gradient_scale, mean_correction, square_correction;
};
void adamw_update(const AdamwStep& step, std::int64_t count, const float* gradient, float* weight, float* mean,
                  float* square);

}  // namespace cosearch::kernels
