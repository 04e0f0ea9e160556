#pragma once

#include "trainer/kernels/dense.hpp"

namespace cosearch::kernels {

/// Products by Eigen; convolutions as products of patches (im2col), depthwise ones by our own loops.
class EigenDense final : public Dense {
 public:
  void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
            const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
            std::int64_t ldc) const override;

  [[nodiscard]] std::int64_t conv2d_scratch(const ConvShape& shape, Use use) const override;
  [[nodiscard]] std::int64_t conv2d_packed(const ConvShape& shape, Use use) const override;
  void conv2d_pack(const ConvShape& shape, Use use, const float* w, float* packed) const override;
  void conv2d_forward(const ConvShape& shape, const float* x, const float* w, const float* packed, float* y,
                      float* scratch) const override;
  void conv2d_backward_data(const ConvShape& shape, const float* dy, const float* w, const float* packed, float* dx,
                            float* scratch) const override;
  void conv2d_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw,
                               float* scratch) const override;

  [[nodiscard]] std::int64_t linear_scratch(const LinearShape& /*shape*/, Use /*use*/) const override { return 0; }
  [[nodiscard]] std::int64_t linear_packed(const LinearShape& /*shape*/, Use /*use*/) const override { return 0; }
  void linear_pack(const LinearShape& /*shape*/, Use /*use*/, const float* /*w*/, float* /*packed*/) const override {}
  void linear_forward(const LinearShape& shape, const float* x, const float* w, const float* packed, const float* bias,
                      float* y, float* scratch) const override;
  void linear_backward(const LinearShape& shape, const float* x, const float* dy, const float* w, const float* packed,
                       float* dx, float* dw, float* scratch) const override;

  [[nodiscard]] std::string name() const override;
};

}  // namespace cosearch::kernels
