#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "spaces/base/check.hpp"

namespace cosearch::ir {

/// a * b; nothing on 64-bit overflow.
[[nodiscard]] inline std::optional<std::int64_t> multiply(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    return std::nullopt;
  }
  return product;
}

/// a + b; nothing on 64-bit overflow.
[[nodiscard]] inline std::optional<std::int64_t> add(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return std::nullopt;
  }
  return sum;
}

/// a * b. Aborts on overflow.
[[nodiscard]] inline std::int64_t checked_multiply(std::int64_t a, std::int64_t b) {
  const auto product = multiply(a, b);
  COSEARCH_CHECK(product.has_value(), "64-bit overflow in a product");
  return *product;
}

/// a + b. Aborts on overflow.
[[nodiscard]] inline std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  const auto sum = add(a, b);
  COSEARCH_CHECK(sum.has_value(), "64-bit overflow in a sum");
  return *sum;
}

}  // namespace cosearch::ir
