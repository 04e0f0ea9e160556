#include "trainer/kernels/onednn/rounding.hpp"

#include <bit>

namespace cosearch::kernels {
namespace {

/// Infinities stay, NaNs stay NaNs.
std::uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t nearest = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
  const std::uint32_t quiet_nan = (bits >> 16U) | 0x40U;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet_nan : nearest);
}

}  // namespace

const void* rounded(Precision precision, std::int64_t count, const float* x, float*& scratch) {
  if (precision == Precision::fp32) {
    return x;
  }
  auto* result = reinterpret_cast<std::uint16_t*>(scratch);
  for (std::int64_t i = 0; i < count; ++i) {
    result[i] = to_bf16(x[i]);
  }
  scratch += rounded_floats(precision, count);
  return result;
}

}  // namespace cosearch::kernels
