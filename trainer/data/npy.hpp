#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cosearch {

enum class NpyType : std::uint8_t { u1, i4, i8, f4, f8 };

/// An array in C order (the last index runs fastest), little-endian.
struct NpyArray {
  NpyType type = NpyType::u1;
  std::vector<std::int64_t> shape;  ///< all at least 1; no dimensions: a scalar
  std::vector<std::uint8_t> bytes;

  [[nodiscard]] std::int64_t size() const;  ///< elements
  [[nodiscard]] bool real() const noexcept { return type == NpyType::f4 || type == NpyType::f8; }
  /// Element i in C order. Integers beyond 2^53 are rounded.
  [[nodiscard]] double value(std::int64_t i) const;
};

/// Reads the NPY format, versions 1, 2 and 3 (numpy.lib.format): types <f4, <f8, |u1, <i4, <i8, C order.
/// `source` is what errors call the file. @throws ConfigError: what was read and what is allowed.
[[nodiscard]] NpyArray parse_npy(std::span<const std::uint8_t> bytes, const std::string& source);

}  // namespace cosearch
