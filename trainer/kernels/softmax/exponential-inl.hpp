// Inside of vector_kernels.cpp: loads, stores and exponentials of one vector.
// Included once per instruction set: HWY_TARGET_TOGGLE flips in between, in place of a guard that is set once.
#if defined(COSEARCH_EXPONENTIAL_TOGGLE) == defined(HWY_TARGET_TOGGLE)
#ifdef COSEARCH_EXPONENTIAL_TOGGLE
#undef COSEARCH_EXPONENTIAL_TOGGLE
#else
#define COSEARCH_EXPONENTIAL_TOGGLE
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace cosearch::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

/// Vectors per step of a loop: independent chains that hide the latency of the arithmetic.
inline constexpr int kUnroll = 4;

inline constexpr float kNegativeInfinity = -__builtin_inff();
/// Where maxima start: finite, so that -inf minus a maximum is -inf and not NaN.
inline constexpr float kLowest = -3.4028234e38F;

/// Floats between what is read and what is fetched ahead. The processor's own prefetchers stop at the borders of pages
/// of 1024 floats; without the hint every algorithm is a tenth to a third slower beyond the caches.
inline constexpr std::int64_t kPrefetchDistance = 1024;

HWY_INLINE std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(Tag())); }
HWY_INLINE Vector broadcast(float value) { return hn::Set(Tag(), value); }

/// Fetches what the loops below read or write `distance` floats later; harmless beyond the end.
template <std::int64_t distance = kPrefetchDistance>
HWY_INLINE void prefetch(const float* p) {
  for (int k = 0; k < kUnroll; ++k) {
    hwy::Prefetch(p + distance + k * lanes());
  }
}

// AVX2's masked moves of floats do not touch what the mask leaves out, although Highway promises it for AVX-512 only.
#define COSEARCH_MASKED_MOVES (!HWY_MEM_OPS_MIGHT_FAULT || HWY_TARGET == HWY_AVX2)

/// The first `count` floats at p, count <= lanes(), and `others` in the other lanes: -inf changes no maximum and no sum
/// of exponentials.
HWY_INLINE Vector load_first(const float* p, std::int64_t count, float others = kNegativeInfinity) {
#if COSEARCH_MASKED_MOVES
  const auto mask = hn::FirstN(Tag(), static_cast<std::size_t>(count));
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, Tag(), p), broadcast(others));
#else
  HWY_ALIGN float buffer[hn::MaxLanes(Tag())];
  for (std::int64_t i = 0; i < lanes(); ++i) {
    buffer[i] = i < count ? p[i] : others;
  }
  return hn::Load(Tag(), buffer);
#endif
}

HWY_INLINE void store_first(Vector v, float* p, std::int64_t count) {
#if COSEARCH_MASKED_MOVES
  hn::BlendedStore(v, hn::FirstN(Tag(), static_cast<std::size_t>(count)), Tag(), p);
#else
  HWY_ALIGN float buffer[hn::MaxLanes(Tag())];
  hn::Store(v, Tag(), buffer);
  for (std::int64_t i = 0; i < count; ++i) {
    p[i] = buffer[i];
  }
#endif
}

/// Below it a power of two counts as 0. Results that are not normal numbers would cost an interrupt of the pipeline
/// each.
inline constexpr float kLowestExponent = -125.0F;

/// A little more than ln 2 / 2.
inline constexpr float kLargestFraction = 0.35F;
/// t within +-kLargestFraction. NaN stays, or is left to the exponent.
HWY_INLINE Vector bounded_fraction(Vector t);

/// m * 2^delta for whole delta <= 0; 0 below kLowestExponent whatever m is, so that e^-inf may be computed as NaN *
/// 2^-inf.
HWY_INLINE Vector times_power_of_two(Vector m, Vector delta);
/// The same where a NaN in m has to last.
HWY_INLINE Vector rescaled(Vector m, Vector delta);

#if HWY_TARGET == HWY_AVX3
// No Highway operation reaches vscalefps and vrangeps.
HWY_INLINE Vector bounded_fraction(Vector t) {
  return Vector{_mm512_range_ps(t.raw, broadcast(kLargestFraction).raw, 2)};
}
HWY_INLINE Vector times_power_of_two(Vector m, Vector delta) {
  const __mmask16 kept = _mm512_cmp_ps_mask(delta.raw, broadcast(kLowestExponent).raw, _CMP_NLT_UQ);
  return Vector{_mm512_maskz_scalef_ps(kept, m.raw, delta.raw)};
}
HWY_INLINE Vector rescaled(Vector m, Vector delta) { return Vector{_mm512_scalef_ps(m.raw, delta.raw)}; }
#else
HWY_INLINE Vector bounded_fraction(Vector t) {
  const Vector low = broadcast(-kLargestFraction);
  const Vector high = broadcast(kLargestFraction);
#if HWY_TARGET == HWY_AVX2
  return hn::Min(high, hn::Max(low, t));  // x86 returns the second operand if one is NaN
#else
  return hn::IfThenElse(hn::Lt(t, low), low, hn::IfThenElse(hn::Lt(high, t), high, t));
#endif
}
HWY_INLINE Vector power_of_two(Vector delta) {
  // Adding 1.5 * 2^23 + 127 leaves delta + 127, the biased exponent of 2^delta, in the low bits.
  const hn::RebindToUnsigned<Tag> bits;
  return hn::BitCast(Tag(), hn::ShiftLeft<23>(hn::BitCast(bits, hn::Add(delta, broadcast(12583039.0F)))));
}
HWY_INLINE Vector times_power_of_two(Vector m, Vector delta) {
  return hn::IfThenZeroElse(hn::Lt(delta, broadcast(kLowestExponent)), hn::Mul(m, power_of_two(delta)));
}
HWY_INLINE Vector rescaled(Vector m, Vector delta) {
  return hn::Mul(m, hn::IfThenZeroElse(hn::Lt(delta, broadcast(kLowestExponent)), power_of_two(delta)));
}
#endif

/// e^x = m * 2^n with m in [0.7, 1.42], the pair of section 4 of the paper: n is never clipped, so that there is no
/// overflow and no underflow.
struct Pair {
  Vector m;
  Vector n;
};

/// e^t for |t| <= ln 2 / 2: the minimax polynomial of degree 5 that XNNPACK uses.
HWY_INLINE Vector exponential_of_fraction(Vector t) {
  Vector p = hn::MulAdd(broadcast(0x1.0F9F9Cp-7F), t, broadcast(0x1.573A1Ap-5F));
  p = hn::MulAdd(p, t, broadcast(0x1.555A80p-3F));
  p = hn::MulAdd(p, t, broadcast(0x1.FFFDC6p-2F));
  p = hn::MulAdd(p, t, broadcast(0x1.FFFFF6p-1F));
  return hn::MulAdd(p, t, broadcast(1.0F));
}

/// x - n * ln 2 for n = round(x / ln 2), after Cody and Waite: the high part of ln 2 has 9 bits, so that its product is
/// exact up to n = 2^15 without fused multiply-add, too.
HWY_INLINE Vector fraction(Vector x, Vector n) {
  const Vector t = hn::NegMulAdd(n, broadcast(0.693359375F), x);
  return hn::NegMulAdd(n, broadcast(-2.12194440e-4F), t);
}
HWY_INLINE Vector exponent(Vector x) { return hn::Round(hn::Mul(x, broadcast(1.44269504F))); }

/// e^z for z <= 0; 0 for -inf.
HWY_INLINE Vector exponential(Vector z) {
  const Vector n = exponent(z);
  return times_power_of_two(exponential_of_fraction(fraction(z, n)), n);
}

HWY_INLINE Pair extended_exponential(Vector x) {
  const Vector n = exponent(x);
  // For |x| beyond 2^23 the fraction is noise, and n alone decides.
  const Vector t = bounded_fraction(fraction(x, n));
  return {exponential_of_fraction(t), n};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cosearch::kernels
HWY_AFTER_NAMESPACE();
#undef COSEARCH_MASKED_MOVES

#endif  // the toggled guard
