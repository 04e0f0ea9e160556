#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

/// The integer arithmetic of quantised networks: what the interpreter computes with, and what the kernels of the C
/// export compute with in C. Right shifts of negative numbers are arithmetic (they round down).
namespace cosearch::quantize {

inline constexpr std::int32_t kLowest = -128;
inline constexpr std::int32_t kHighest = 127;

/// A real number as an int8: real = scale * (q - zero_point).
struct Quantization {
  double scale = 1.0;
  std::int32_t zero_point = 0;
  bool operator==(const Quantization&) const = default;
};

/// The nearest int8 of a real number; halves away from zero.
[[nodiscard]] inline std::int8_t quantized(double real, const Quantization& q) {
  const double steps = std::round(real / q.scale) + q.zero_point;
  return static_cast<std::int8_t>(std::clamp(steps, double{kLowest}, double{kHighest}));
}
[[nodiscard]] inline double real(std::int8_t value, const Quantization& q) {
  return q.scale * (static_cast<std::int32_t>(value) - q.zero_point);
}

/// value / 2^shift, halves up; 1 <= shift <= 62 and |value| < 2^62.
[[nodiscard]] constexpr std::int64_t rounded_shift(std::int64_t value, int shift) {
  return (value + (std::int64_t{1} << (shift - 1))) >> shift;
}
/// sum * multiplier / 2^shift in 64 bits, rounded once; the result fits in 32 bits.
[[nodiscard]] constexpr std::int32_t requantized(std::int32_t sum, std::int32_t multiplier, int shift) {
  return static_cast<std::int32_t>(rounded_shift(static_cast<std::int64_t>(sum) * multiplier, shift));
}

/// floor(sqrt(value)), value >= 2^30: Newton's method from 2^16, downwards until it does not fall any more.
[[nodiscard]] constexpr std::uint32_t integer_square_root(std::uint32_t value) {
  std::uint32_t root = 65536;
  while (true) {
    const std::uint32_t next = (root + value / root) >> 1;
    if (next >= root) {
      return root;
    }
    root = next;
  }
}

/// 1 / sqrt(value) = reciprocal / 2^shift, value >= 1.
struct ReciprocalRoot {
  std::uint32_t reciprocal = 0;  ///< 2^31 / integer_square_root, at most 2^16
  int shift = 0;                 ///< 31 + half of the bits that the value was moved down by (negative: up)
};
[[nodiscard]] constexpr ReciprocalRoot reciprocal_root(std::uint64_t value) {
  const int down = 32 - (std::countl_zero(value) & ~1);  // even; the moved value lies in [2^30, 2^32)
  const auto moved = static_cast<std::uint32_t>(down >= 0 ? value >> down : value << -down);
  return {(std::uint32_t{1} << 31) / integer_square_root(moved), 31 + down / 2};
}

/// Normalised values of a layer norm have this many bits behind the point.
inline constexpr int kNormBits = 12;

/// Fraction bits of softmax's exponents (base 2) and of its exponentials.
inline constexpr int kExponentBits = 10;
inline constexpr int kExponentialBits = 15;
/// Exponents from here on give 0.
inline constexpr std::int32_t kLargestExponent = 16 << kExponentBits;

/// 2^-(exponent / 2^10) in Q15, 0 <= exponent < kLargestExponent. The fraction f in [0, 1) by
/// 1 - f * (a - f * (b - f * c)), within 9e-5 of 2^-f, see tests/trainer/quantize/arithmetic_test.cpp.
[[nodiscard]] constexpr std::int32_t exponential(std::int32_t exponent) {
  constexpr std::int32_t kA = 22675, kB = 7612, kC = 1324;  // in Q15; found by search over neighbours
  const std::int32_t f = (exponent & ((1 << kExponentBits) - 1)) << (kExponentialBits - kExponentBits);
  const std::int32_t inner = kB - ((f * kC) >> kExponentialBits);
  const std::int32_t outer = kA - ((f * inner) >> kExponentialBits);
  return ((1 << kExponentialBits) - ((f * outer) >> kExponentialBits)) >> (exponent >> kExponentBits);
}

/// Attention weights have a byte: an exponential in Q15 as 0 to 255; the largest score's is 255. They are not divided
/// by their sum: the context is, which is exact for any number of tokens where shares of 1/256 would not add up to one.
[[nodiscard]] constexpr std::int32_t attention_weight(std::int32_t exponential) {
  return std::min((exponential + 64) >> 7, 255);
}

/// An expert's share in Q15 of the total of all exponentials, 2^15 <= total <= 2^30; halves up.
[[nodiscard]] constexpr std::int32_t expert_share(std::int32_t exponential, std::uint32_t total) {
  return static_cast<std::int32_t>(((static_cast<std::uint32_t>(exponential) << kExponentialBits) + total / 2) / total);
}

/// Fraction bits of a weighted mean of values.
inline constexpr int kMeanBits = 16;
/// What divides a weighted sum by the weights' total: mean = sum * reciprocal / 2^shift in 1/2^16.
struct MeanScale {
  std::uint32_t reciprocal = 0;  ///< 2^31 / (the total's 16 leading bits)
  int shift = 0;
};
/// 255 <= total < 2^31.
[[nodiscard]] constexpr MeanScale mean_scale(std::uint32_t total) {
  const int up = std::countl_zero(total) - 16;
  const std::uint32_t leading = up >= 0 ? total << up : total >> -up;
  return {(std::uint32_t{1} << 31) / leading, 31 - kMeanBits - up};
}
/// |sum| <= 128 * total, so |mean| <= 2^23 * (1 + 2^-15).
[[nodiscard]] constexpr std::int32_t weighted_mean(std::int32_t sum, const MeanScale& scale) {
  return requantized(sum, static_cast<std::int32_t>(scale.reciprocal), scale.shift);
}

}  // namespace cosearch::quantize
