#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace cosearch::kernels {

/// x rounded to the nearest fp16 number (IEEE 754 binary16; ties to even; subnormals kept; infinite from 65520 on; NaN
/// stays NaN), in the container T, float or double. Branch-free, for the compiler's vectoriser.
template <class T>
inline T round_to_half(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  constexpr int kDropped = std::numeric_limits<T>::digits - 11;
  constexpr T kSmallestNormal = T{1} / 16384;
  // Numbers from here to its double are multiples of 2^-24, the smallest fp16 number: adding it rounds to those.
  constexpr T kSubnormalRounder = static_cast<T>(Bits{1} << (std::numeric_limits<T>::digits - 1)) / 16777216;
  const auto bits = std::bit_cast<Bits>(x);
  const T magnitude = std::bit_cast<T>(bits & ~kSign);
  const T subnormal = (magnitude + kSubnormalRounder) - kSubnormalRounder;
  const Bits nearest = (bits & ~kSign) + ((Bits{1} << (kDropped - 1)) - 1) + ((bits >> kDropped) & 1);
  T rounded = std::bit_cast<T>(nearest & ~((Bits{1} << kDropped) - 1));
  rounded = rounded > T{65504} ? std::numeric_limits<T>::infinity() : rounded;
  rounded = magnitude < kSmallestNormal ? subnormal : rounded;
  rounded = x == x ? rounded : std::numeric_limits<T>::quiet_NaN();
  return std::bit_cast<T>(std::bit_cast<Bits>(rounded) | (bits & kSign));
}

}  // namespace cosearch::kernels
