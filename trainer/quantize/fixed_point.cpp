#include "trainer/quantize/fixed_point.hpp"

#include <algorithm>
#include <cmath>

#include "spaces/base/check.hpp"

namespace cosearch::quantize {

std::int32_t scaled(double factor, int shift) {
  constexpr double kLimit = 2147483647.0;
  return static_cast<std::int32_t>(std::clamp(std::round(std::ldexp(factor, shift)), -kLimit, kLimit));
}

FixedPoint fixed_point(std::span<const double> factors, std::int64_t limit) {
  double largest = 0.0;
  for (const double factor : factors) {
    largest = std::max(largest, std::abs(factor));
  }
  FixedPoint fixed;
  fixed.shift = 62;
  while (fixed.shift > 1 && std::round(std::ldexp(largest, fixed.shift)) > static_cast<double>(limit)) {
    --fixed.shift;
  }
  for (const double factor : factors) {
    const std::int64_t multiplier = scaled(factor, fixed.shift);
    fixed.multiplier.push_back(static_cast<std::int32_t>(std::clamp(multiplier, -limit, limit)));
  }
  return fixed;
}

int shift_of_32_bits(std::span<const Summands> elements) {
  constexpr double kDifference = 255.0;
  constexpr double kMultiplier = 4194304.0;  // 2^22
  const auto fits = [&](const Summands& element, int shift) {
    // Each rounded multiplier is at most half a unit larger, and no element has more than two.
    const double sum = kDifference * (std::ldexp(element.factors, shift) + 1.0) +
                       std::ldexp(std::abs(element.offset), shift) + 1.0 + std::ldexp(1.0, shift - 1);
    return std::round(std::ldexp(element.largest, shift)) <= kMultiplier && sum < 2.0 * kBits30;
  };
  for (int shift = 30; shift >= 1; --shift) {
    if (std::all_of(elements.begin(), elements.end(), [&](const Summands& element) { return fits(element, shift); })) {
      return shift;
    }
  }
  COSEARCH_CHECK(false, "factors of 32-bit arithmetic are within their bounds");
  return 1;
}

}  // namespace cosearch::quantize
