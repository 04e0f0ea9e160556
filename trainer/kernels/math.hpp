#pragma once

#include <bit>
#include <cstdint>
#include <numbers>

/// Scalar functions that the compiler vectorises: branch-free, and with the same bits in a vector lane and in a loop's
/// remainder, because every rounding is written down.
/// Before a loop whose iterations do not depend on each other, even where its arrays are the same one: without it
/// the compiler checks for overlaps at run time and takes the scalar loop for results in place.
#ifdef __clang__
#define COSEARCH_INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#else
#define COSEARCH_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#endif

namespace cosearch::kernels {

/// a * b + c, with one rounding where the instruction set has it.
inline float multiply_add(float a, float b, float c) {
#ifdef __FMA__
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/// e^x for x clamped to [-87, 88], relative error below 2e-7: x = n ln 2 + r, Taylor's series of e^r to r^7 (the
/// remainder is below 6e-9 for |r| <= ln 2 / 2), times 2^n by bits. NaN stays NaN.
inline float exponential(float x) {
  constexpr float kLn2High = 0.693145751953125F;  // 15 bits, so that n * kLn2High is exact
  constexpr float kLn2Low = static_cast<float>(std::numbers::ln2 - 0.693145751953125);
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  const float shifted = multiply_add(x, std::numbers::log2e_v<float>, kRounder);
  const float n = shifted - kRounder;
  const float r = multiply_add(n, -kLn2Low, multiply_add(n, -kLn2High, x));
  float p = 1.0F / 5040.0F;
  p = multiply_add(p, r, 1.0F / 720.0F);
  p = multiply_add(p, r, 1.0F / 120.0F);
  p = multiply_add(p, r, 1.0F / 24.0F);
  p = multiply_add(p, r, 1.0F / 6.0F);
  p = multiply_add(p, r, 0.5F);
  p = multiply_add(p, r, 1.0F);
  p = multiply_add(p, r, 1.0F);
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kRounder) + 127U;
  return p * std::bit_cast<float>(exponent << 23U);
}

/// Distribution function and density of the standard normal.
struct Normal {
  float distribution;
  float density;
};
/// Abramowitz & Stegun, "Handbook of Mathematical Functions", 7.1.26: erf(z) = 1 - (a1 t + ... + a5 t^5) e^(-z^2),
/// t = 1 / (1 + p z), |error| <= 1.5e-7.
inline Normal standard_normal(float x) {
  constexpr float kP = 0.3275911F;
  constexpr float kA1 = 0.254829592F, kA2 = -0.284496736F, kA3 = 1.421413741F, kA4 = -1.453152027F, kA5 = 1.061405429F;
  constexpr float kInverseSqrt2Pi = std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>;
  const float z = (x < 0.0F ? -x : x) * (1.0F / std::numbers::sqrt2_v<float>);
  const float t = 1.0F / multiply_add(kP, z, 1.0F);
  const float e = exponential(-z * z);
  float q = kA5;
  q = multiply_add(q, t, kA4);
  q = multiply_add(q, t, kA3);
  q = multiply_add(q, t, kA2);
  q = multiply_add(q, t, kA1);
  const float tail = 0.5F * q * t * e;
  return {x < 0.0F ? tail : 1.0F - tail, kInverseSqrt2Pi * e};
}

/// Sum of 16 lanes in a fixed tree.
template <class T>
T sum_lanes(const T (&lanes)[16]) {
  T folded[8];
  for (int i = 0; i < 8; ++i) {
    folded[i] = lanes[i] + lanes[i + 8];
  }
  return ((folded[0] + folded[4]) + (folded[2] + folded[6])) + ((folded[1] + folded[5]) + (folded[3] + folded[7]));
}

}  // namespace cosearch::kernels
