#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cosearch::kernels {

struct ConvShape {
  std::int64_t batch = 1, height = 1, width = 1, channels = 1;   // x: (batch, height, width, channels)
  std::int64_t out_height = 1, out_width = 1, out_channels = 1;  // y: (batch, out_height, out_width, out_channels)
  std::int64_t kernel_h = 1, kernel_w = 1, stride = 1, pad_top = 0, pad_left = 0;
  std::int64_t groups = 1;  // w: (kernel_h, kernel_w, channels / groups, out_channels)

  auto operator<=>(const ConvShape&) const = default;
};

/// Arithmetic of a training. bf16: operands of products are rounded to bf16; sums, and everything outside of products,
/// weights included, stay in fp32. fp16_mcu: training on a microcontroller with packed fp16 SIMD; products as
/// fp16_mcu_dense.hpp defines them. What operators read and write is stored in fp16: activations, their gradients,
/// trainable weights, gradients of weights (summed over the batch in fp16) and the velocities of SGD. What an operator
/// computes beside products (normalisation, softmax, activations, sums of biases' gradients, a weight's update) is fp32
/// on such numbers, and its result is rounded. fp32 stay: statistics of batch norms, the state of AdamW (squares of
/// gradients are below the smallest fp16 number) and the loss. fp16_mcu_fp32_accumulate: the same, with products that
/// accumulate in fp32.
enum class Precision { fp32, bf16, fp16_mcu, fp16_mcu_fp32_accumulate };

struct LinearShape {
  std::int64_t rows = 1, inputs = 1, outputs = 1;  // x: (rows, inputs), w: (inputs, outputs), y: (rows, outputs)
  std::int64_t samples = 1;                        // that the rows belong to, the same number each

  auto operator<=>(const LinearShape&) const = default;
};

/// What a layer is for; inference needs less scratch and packing.
enum class Use { inference, training };

/// Matrix products and convolutions: the kernels that have two backends. Tensors are fp32, row-major, NHWC. Functions
/// are serial and give the same bits for the same arguments. `packed` holds weights in the layouts that the backend
/// likes: made by *_pack once for many calls, valid for every batch and every number of rows. `scratch` is working
/// memory; sizes are in floats. Results named d* are overwritten; arguments do not overlap.
class Dense {
 public:
  virtual ~Dense() = default;

  /// c (m, n) = alpha * op(a) * op(b) + beta * c; op(a) is (m, k), op(b) is (k, n); ld*: row strides as stored.
  /// With beta == 0, c need not be initialised.
  virtual void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                    const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                    std::int64_t ldc) const = 0;

  [[nodiscard]] virtual std::int64_t conv2d_scratch(const ConvShape& shape, Use use) const = 0;
  [[nodiscard]] virtual std::int64_t conv2d_packed(const ConvShape& shape, Use use) const = 0;
  virtual void conv2d_pack(const ConvShape& shape, Use use, const float* w, float* packed) const = 0;
  /// y = conv(x, w)
  virtual void conv2d_forward(const ConvShape& shape, const float* x, const float* w, const float* packed, float* y,
                              float* scratch) const = 0;
  /// dx = gradient by x; needs weights packed for training.
  virtual void conv2d_backward_data(const ConvShape& shape, const float* dy, const float* w, const float* packed,
                                    float* dx, float* scratch) const = 0;
  /// dw = gradient by w
  virtual void conv2d_backward_weights(const ConvShape& shape, const float* x, const float* dy, float* dw,
                                       float* scratch) const = 0;

  [[nodiscard]] virtual std::int64_t linear_scratch(const LinearShape& shape, Use use) const = 0;
  [[nodiscard]] virtual std::int64_t linear_packed(const LinearShape& shape, Use use) const = 0;
  virtual void linear_pack(const LinearShape& shape, Use use, const float* w, float* packed) const = 0;
  /// y = x w + bias; bias (outputs) may be null.
  virtual void linear_forward(const LinearShape& shape, const float* x, const float* w, const float* packed,
                              const float* bias, float* y, float* scratch) const = 0;
  /// dw = x' dy and, unless dx is null, dx = dy w'; needs weights packed for training.
  virtual void linear_backward(const LinearShape& shape, const float* x, const float* dy, const float* w,
                               const float* packed, float* dx, float* dw, float* scratch) const = 0;

  /// Rounds results of this or other kernels to the type that tensors are stored in; nothing where that is fp32.
  virtual void round_to_storage(std::int64_t /*count*/, float* /*x*/) const {}

  /// What decides the bits beside the arguments: library, instruction set, compiler, blocking.
  [[nodiscard]] virtual std::string name() const = 0;
};

/// Eigen alone, fp32: always built.
[[nodiscard]] const Dense& eigen_dense();
/// oneDNN, with Eigen where it has only reference loops; null where the build has not found it or, for bf16, where the
/// CPU has neither AVX512-BF16 nor AMX.
[[nodiscard]] const Dense* onednn_dense(Precision precision);
/// `precision`: one of the two fp16_mcu ones.
[[nodiscard]] const Dense& fp16_mcu_dense(Precision precision);
/// fp16_mcu with each set of instructions that build and CPU have, the fastest first, without any of them last: all
/// give the same bits.
[[nodiscard]] std::vector<const Dense*> fp16_mcu_engines();
/// The trainer's backend: oneDNN where it is there. @throws ConfigError where the precision is not to be had.
[[nodiscard]] const Dense& dense(Precision precision);

}  // namespace cosearch::kernels
