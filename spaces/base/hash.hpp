#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace cosearch {

/// A stable 64-bit content hash: the same on every machine, compiler and run, so it may be stored.
/// Values are fed with their lengths, so that ("ab", "c") and ("a", "bc") differ.
class Hasher {
 public:
  Hasher& add(std::string_view text);
  Hasher& add(const char* text) { return add(std::string_view(text)); }  ///< a literal would become a bool
  Hasher& add(std::int64_t value);
  Hasher& add(std::uint64_t value);
  Hasher& add(int value) { return add(static_cast<std::int64_t>(value)); }
  Hasher& add(bool value) { return add(static_cast<std::int64_t>(value ? 1 : 0)); }
  /// By bit pattern; -0.0 counts as 0.0.
  Hasher& add(double value);
  Hasher& add_bytes(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint64_t value() const;

 private:
  void mix(std::uint64_t word);
  std::uint64_t state_ = 0x9e3779b97f4a7c15ULL;
};

/// 16 lower-case hexadecimal digits, the form in which hashes are stored and printed.
[[nodiscard]] std::string hex(std::uint64_t hash);

}  // namespace cosearch
