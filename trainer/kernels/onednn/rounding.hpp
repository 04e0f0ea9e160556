#pragma once

#include <cstdint>
#include <dnnl.hpp>

#include "trainer/kernels/dense.hpp"

/// Operands of products in the backend's precision.
namespace cosearch::kernels {

/// The next multiple of 64 bytes.
[[nodiscard]] constexpr std::int64_t aligned(std::int64_t floats) noexcept { return (floats + 15) / 16 * 16; }

[[nodiscard]] constexpr dnnl::memory::data_type type_of(Precision precision) noexcept {
  return precision == Precision::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

/// Floats of scratch that `rounded` takes.
[[nodiscard]] constexpr std::int64_t rounded_floats(Precision precision, std::int64_t count) noexcept {
  return precision == Precision::bf16 ? aligned((count + 1) / 2) : 0;
}
/// `x` in the given precision: itself, or rounded (to nearest, ties to even) into `scratch`, which moves behind it.
[[nodiscard]] const void* rounded(Precision precision, std::int64_t count, const float* x, float*& scratch);

}  // namespace cosearch::kernels
