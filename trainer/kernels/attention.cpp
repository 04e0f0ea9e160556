#include <cmath>

#include "trainer/kernels/kernels.hpp"

namespace cosearch::kernels {
namespace {

float attention_scale(const AttentionShape& shape) { return 1.0F / std::sqrt(static_cast<float>(shape.head_dim)); }

}  // namespace

void attention(const Dense& dense, const AttentionShape& shape, const float* qkv, float* y, float* probabilities) {
  const std::int64_t t = shape.tokens;
  const std::int64_t d = shape.head_dim;
  const std::int64_t features = shape.heads * d;
  for (std::int64_t n = 0; n < shape.batch; ++n) {
    for (std::int64_t h = 0; h < shape.heads; ++h, probabilities += t * t) {
      const float* q = qkv + n * t * 3 * features + h * d;
      dense.gemm(false, true, t, t, d, 1.0F, q, 3 * features, q + features, 3 * features, 0.0F, probabilities, t);
      softmax(t, t, attention_scale(shape), probabilities, probabilities);
      dense.round_to_storage(t * t, probabilities);
      dense.gemm(false, false, t, d, t, 1.0F, probabilities, t, q + 2 * features, 3 * features, 0.0F,
                 y + n * t * features + h * d, features);
    }
  }
}

void attention_backward(const Dense& dense, const AttentionShape& shape, const float* qkv, const float* probabilities,
                        const float* dy, float* dqkv, float* scratch) {
  const std::int64_t t = shape.tokens;
  const std::int64_t d = shape.head_dim;
  const std::int64_t features = shape.heads * d;
  const std::int64_t stride = 3 * features;
  for (std::int64_t n = 0; n < shape.batch; ++n) {
    for (std::int64_t h = 0; h < shape.heads; ++h, probabilities += t * t) {
      const float* q = qkv + n * t * stride + h * d;
      const float* k = q + features;
      const float* v = k + features;
      float* dq = dqkv + n * t * stride + h * d;
      float* dk = dq + features;
      float* dv = dk + features;
      const float* dout = dy + n * t * features + h * d;
      dense.gemm(true, false, t, d, t, 1.0F, probabilities, t, dout, features, 0.0F, dv, stride);
      dense.gemm(false, true, t, t, d, 1.0F, dout, features, v, stride, 0.0F, scratch, t);
      softmax_backward(t, t, attention_scale(shape), probabilities, scratch, scratch);
      dense.round_to_storage(t * t, scratch);
      dense.gemm(false, false, t, d, t, 1.0F, scratch, t, k, stride, 0.0F, dq, stride);
      dense.gemm(true, false, t, d, t, 1.0F, scratch, t, q, stride, 0.0F, dk, stride);
    }
  }
}

}  // namespace cosearch::kernels
