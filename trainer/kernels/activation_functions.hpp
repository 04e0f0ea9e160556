#pragma once

#include "spaces/base/check.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

/// The activations as inlined scalar functions, shared by the plain and the fused kernels.
namespace cosearch::kernels {

template <Activation kind>
inline float activate(float x) {
  if constexpr (kind == Activation::identity) {
    return x;
  } else if constexpr (kind == Activation::relu) {
    return x < 0.0F ? 0.0F : x;  // NaN passes through, so that a divergence is seen
  } else if constexpr (kind == Activation::relu6) {
    const float lower = x < 0.0F ? 0.0F : x;
    return lower > 6.0F ? 6.0F : lower;
  } else if constexpr (kind == Activation::hard_swish) {
    const float lower = x + 3.0F < 0.0F ? 0.0F : x + 3.0F;
    return x * (lower > 6.0F ? 6.0F : lower) * (1.0F / 6.0F);
  } else {
    return x * standard_normal(x).distribution;
  }
}

template <Activation kind>
inline float slope(float x) {
  if constexpr (kind == Activation::identity) {
    return 1.0F;
  } else if constexpr (kind == Activation::relu) {
    return x > 0.0F ? 1.0F : 0.0F;
  } else if constexpr (kind == Activation::relu6) {
    return x > 0.0F && x < 6.0F ? 1.0F : 0.0F;
  } else if constexpr (kind == Activation::hard_swish) {
    const float middle = multiply_add(x, 1.0F / 3.0F, 0.5F);
    const float lower = x < -3.0F ? 0.0F : middle;
    return x > 3.0F ? 1.0F : lower;
  } else {
    const Normal normal = standard_normal(x);
    return multiply_add(x, normal.density, normal.distribution);
  }
}

/// Calls `body.operator()<kind>()`.
template <class Body>
void for_activation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::identity:
      return body.template operator()<Activation::identity>();
    case Activation::relu:
      return body.template operator()<Activation::relu>();
    case Activation::relu6:
      return body.template operator()<Activation::relu6>();
    case Activation::hard_swish:
      return body.template operator()<Activation::hard_swish>();
    case Activation::gelu:
      return body.template operator()<Activation::gelu>();
  }
  COSEARCH_CHECK(false, "unknown activation");
}

}  // namespace cosearch::kernels
