#pragma once

#include <cstdint>
#include <span>
#include <vector>

/// Real factors as multipliers with a shared shift, within the bounds of quantize().
namespace cosearch::quantize {

inline constexpr double kBits30 = 1073741824.0;

/// factor[i] = multiplier[i] / 2^shift.
struct FixedPoint {
  std::vector<std::int32_t> multiplier;
  int shift = 1;
};

/// With the largest shift, 1 to 62, for which multipliers are at most `limit` in magnitude; factors of more than limit
/// / 2 are cut off.
[[nodiscard]] FixedPoint fixed_point(std::span<const double> factors, std::int64_t limit = (std::int64_t{1} << 31) - 1);

/// factor * 2^shift as an integer, halves away from zero, at most 2^31 - 1 in magnitude.
[[nodiscard]] std::int32_t scaled(double factor, int shift);

/// What an element of 32-bit arithmetic adds up: factors * (differences of int8) + offset.
struct Summands {
  double factors = 0.0;  ///< the sum of their magnitudes
  double largest = 0.0;  ///< the largest magnitude
  double offset = 0.0;
};
/// The largest shift, 1 to 30, for which 255 * (sum of an element's multipliers) + |offset| * 2^shift + 2^(shift - 1) <
/// 2^31 and multipliers are at most 2^22. Factors are at most 2^20, offsets 2^26.
[[nodiscard]] int shift_of_32_bits(std::span<const Summands> elements);

}  // namespace cosearch::quantize
