#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "trainer/kernels/dense.hpp"

/// fp16 arithmetic by exact integers, and the products of `fp16_mcu` element by element, from their definition.
namespace cosearch::half_oracle {

__extension__ using Exact = __int128;  ///< in units of 2^-48

/// The fp16 number with these bits.
inline float from_bits(std::uint16_t bits) {
  const int exponent = bits >> 10U & 31U;
  const int fraction = bits & 1023U;
  float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                  : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  if (exponent == 31) {
    magnitude = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  }
  return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

/// Of a number that is a multiple of 2^-48 below 2^64.
inline Exact exact(double x) {
  int exponent = 0;
  const auto digits = static_cast<std::int64_t>(std::ldexp(std::frexp(x, &exponent), 53));
  const int shift = exponent - 53 + 48;
  return shift >= 0 ? static_cast<Exact>(digits) * (Exact{1} << shift)
                    : static_cast<Exact>(digits) / (Exact{1} << -shift);
}

/// Nearest fp16 number, ties to even; `negative` decides the sign of zeros.
inline float rounded(Exact value, bool negative) {
  Exact magnitude = value < 0 ? -value : value;
  int top = 0;
  while ((magnitude >> top) > 1) {
    ++top;
  }
  const int dropped = std::max(24, top - 10);  // the unit in the last place is 2^(dropped - 48), at least 2^-24
  Exact kept = magnitude >> dropped;
  const Exact rest = magnitude - (kept << dropped);
  const Exact half = Exact{1} << (dropped - 1);
  if (rest > half || (rest == half && kept % 2 == 1)) {
    ++kept;
  }
  auto result = std::ldexp(static_cast<double>(kept), dropped - 48);
  result = result > 65504.0 ? std::numeric_limits<double>::infinity() : result;
  return static_cast<float>(negative ? -result : result);
}

inline float to_half(double x) {
  return std::isfinite(x) && std::abs(x) < 0x1p60 ? rounded(exact(x), std::signbit(x))
                                                  : static_cast<float>(x * std::numeric_limits<double>::infinity());
}

inline float add(float a, float b) { return to_half(static_cast<double>(a) + static_cast<double>(b)); }

inline float multiply_add(float a, float b, float c) {
  const double double_sum = static_cast<double>(a) * static_cast<double>(b) + static_cast<double>(c);
  if (!std::isfinite(double_sum)) {
    return static_cast<float>(double_sum);
  }
  const Exact unit = Exact{1} << 24;  // fp16 numbers are multiples of 2^-24
  const Exact sum = exact(a) / unit * (exact(b) / unit) + exact(c);
  // The double sum's sign is the exact sum's, and right for zeros.
  return rounded(sum, std::signbit(double_sum));
}

struct Pair {
  float a, b;
};

inline float inner_product(std::vector<Pair> pairs, bool fp32_accumulation) {
  if (pairs.size() % 2 == 1) {
    pairs.push_back({0.0F, 0.0F});
  }
  float lanes[2] = {0.0F, 0.0F};
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    float& lane = lanes[k % 2];
    lane = fp32_accumulation ? std::fmaf(pairs[k].a, pairs[k].b, lane) : multiply_add(pairs[k].a, pairs[k].b, lane);
  }
  return fp32_accumulation ? to_half(static_cast<double>(lanes[0] + lanes[1])) : add(lanes[0], lanes[1]);
}

struct Convolution {
  std::vector<float> y, dx, dw;
};

/// All three passes, from the definition in fp16_mcu_dense.hpp.
Convolution convolution(const kernels::ConvShape& shape, bool fp32_accumulation, const std::vector<float>& x,
                        const std::vector<float>& w, const std::vector<float>& dy);

}  // namespace cosearch::half_oracle
