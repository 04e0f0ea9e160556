#pragma once

#include <string>

#include "trainer/kernels/dense.hpp"
#include "trainer/kernels/fp16_mcu/engine.hpp"

namespace cosearch::kernels {

/// Products as a microcontroller with packed fp16 SIMD computes them: 32-bit registers of two fp16 numbers, multiplied
/// and accumulated element by element, as the matrix products of PULP-TrainLib's FP16 kernels do (SIMD_2x4, SIMD_4x8;
/// Nadalini et al., "PULP-TrainLib", SAMOS 2022; "Reduced precision floating-point optimization for deep neural network
/// on-device learning on microcontrollers", FGCS 2023). What those sources leave open is defined here.
///
/// - Operands are rounded to fp16 (nearest, ties to even, subnormals kept, infinite from 65520 on) if they are not fp16
///   numbers already. Results are fp16 numbers in floats.
/// - An inner product of length K has two lanes, both 0 at first. Element k is accumulated in lane k mod 2 by a fused
///   multiply-add, rounded once to fp16; at the end lane 0 + lane 1 is rounded to fp16. An odd K is continued by one
///   product of zeros.
/// - With fp32 accumulation the lanes and their sum are fp32, and the sum is rounded to fp16.
/// - gemm: alpha * product + beta * c is computed in fp32 and rounded to fp16.
/// - A convolution is an inner product in the order (kernel_h, kernel_w, channels of the group) over the window
///   (im2row); pixels outside of the image are zeros that count. A depthwise one has one channel.
/// - Its gradient by x is an inner product in the order (kernel_h, kernel_w, out_channels of the group) over the window
///   of dy, with stride - 1 zeros between neighbours that count too, with the mirrored kernel.
/// - Its gradient by w is, for each sample, an inner product over the output positions in raster order. A
///   microcontroller trains sample by sample: samples are added in fp16, in their order, with either accumulation.
/// - A linear layer is an inner product over the inputs, then the bias is added in fp16; its gradient by x one over the
///   outputs; its gradient by w one over the rows of each sample, samples added as above.
///
/// The bits do not depend on the instruction set.
template <class Element>
class Fp16McuDense final : public Dense {
 public:
  Fp16McuDense(const fp16_mcu::Engine<Element>& engine, std::string arithmetic);

  void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
            const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
            std::int64_t ldc) const override;

  [[nodiscard]] std::int64_t conv2d_scratch(const ConvShape& /*shape*/, Use /*use*/) const override { return 0; }
  [[nodiscard]] std::int64_t conv2d_packed(const ConvShape& shape, Use use) const override;
  void conv2d_pack(const ConvShape& shape, Use use, const float* w, float* packed) const override;
  void conv2d_forward(const ConvShape& shape, const float* x, const float* w, const float* packed, float* y,
                      float* scratch) const override;
  void conv2d_backward_data(const ConvShape& shape, const float* dy, const float* w, const float* packed, float* dx,
                            float* scratch) const override;
  void conv2d_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw,
                               float* scratch) const override;

  [[nodiscard]] std::int64_t linear_scratch(const LinearShape& /*shape*/, Use /*use*/) const override { return 0; }
  [[nodiscard]] std::int64_t linear_packed(const LinearShape& shape, Use use) const override;
  void linear_pack(const LinearShape& shape, Use use, const float* w, float* packed) const override;
  void linear_forward(const LinearShape& shape, const float* x, const float* w, const float* packed, const float* bias,
                      float* y, float* scratch) const override;
  void linear_backward(const LinearShape& shape, const float* x, const float* dy, const float* w, const float* packed,
                       float* dx, float* dw, float* scratch) const override;

  void round_to_storage(std::int64_t count, float* x) const override;

  [[nodiscard]] std::string name() const override { return name_; }

 private:
  fp16_mcu::Engine<Element> engine_;
  std::string name_;
};

}  // namespace cosearch::kernels
