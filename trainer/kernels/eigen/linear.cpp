#include <fmt/format.h>

#include <Eigen/Core>

#include "trainer/kernels/eigen/eigen_dense.hpp"
#include "trainer/kernels/kernels.hpp"

namespace cosearch::kernels {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const RowMajor, Eigen::Unaligned, Eigen::OuterStride<>>;
using Map = Eigen::Map<RowMajor, Eigen::Unaligned, Eigen::OuterStride<>>;

}  // namespace

void EigenDense::gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                      const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                      std::int64_t ldc) const {
  const ConstMap a_map(a, transpose_a ? k : m, transpose_a ? m : k, Eigen::OuterStride<>(lda));
  const ConstMap b_map(b, transpose_b ? n : k, transpose_b ? k : n, Eigen::OuterStride<>(ldb));
  Map c_map(c, m, n, Eigen::OuterStride<>(ldc));
  if (beta == 0.0F) {
    c_map.setZero();
  } else if (beta != 1.0F) {
    c_map *= beta;
  }
  if (!transpose_a && !transpose_b) {
    c_map.noalias() += (alpha * a_map) * b_map;
  } else if (transpose_a && !transpose_b) {
    c_map.noalias() += (alpha * a_map.transpose()) * b_map;
  } else if (!transpose_a) {
    c_map.noalias() += (alpha * a_map) * b_map.transpose();
  } else {
    c_map.noalias() += (alpha * a_map.transpose()) * b_map.transpose();
  }
}

void EigenDense::linear_forward(const LinearShape& s, const float* x, const float* w, const float* /*packed*/,
                                const float* bias, float* y, float* /*scratch*/) const {
  gemm(false, false, s.rows, s.outputs, s.inputs, 1.0F, x, s.inputs, w, s.outputs, 0.0F, y, s.outputs);
  if (bias != nullptr) {
    add_bias(s.rows, s.outputs, bias, y);
  }
}

void EigenDense::linear_backward(const LinearShape& s, const float* x, const float* dy, const float* w,
                                 const float* /*packed*/, float* dx, float* dw, float* /*scratch*/) const {
  gemm(true, false, s.inputs, s.outputs, s.rows, 1.0F, x, s.inputs, dy, s.outputs, 0.0F, dw, s.outputs);
  if (dx != nullptr) {
    gemm(false, true, s.rows, s.inputs, s.outputs, 1.0F, dy, s.outputs, w, s.outputs, 0.0F, dx, s.inputs);
  }
}

const Dense& eigen_dense() {
  static const EigenDense backend;
  return backend;
}

std::string EigenDense::name() const {
#if defined(__AVX512F__)
  constexpr const char* kInstructionSet = "avx512f";
#elif defined(__AVX2__) && defined(__FMA__)
  constexpr const char* kInstructionSet = "avx2+fma";
#elif defined(__AVX__)
  constexpr const char* kInstructionSet = "avx";
#elif defined(__SSE2__)
  constexpr const char* kInstructionSet = "sse2";
#else
  constexpr const char* kInstructionSet = "generic";
#endif
#if defined(__clang__)
  constexpr const char* kCompiler = "clang " __clang_version__;
#else
  constexpr const char* kCompiler = "gcc " __VERSION__;
#endif
  // The first-level cache decides how Eigen splits long inner products, and with it their rounding.
  return fmt::format("eigen {}.{}.{} l1 {} {} {}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION,
                     Eigen::l1CacheSize(), kInstructionSet, kCompiler);
}

}  // namespace cosearch::kernels
