#include "spaces/base/hash.hpp"

#include <bit>
#include <cstring>

namespace cosearch {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
std::uint64_t scramble(std::uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

}  // namespace

void Hasher::mix(std::uint64_t word) {
  state_ = scramble(state_ ^ scramble(word + 0x9e3779b97f4a7c15ULL)) + 0x632be59bd9b4e019ULL;
}

Hasher& Hasher::add(std::string_view text) {
  return add_bytes(std::as_bytes(std::span<const char>(text.data(), text.size())));
}

Hasher& Hasher::add(std::int64_t value) {
  mix(static_cast<std::uint64_t>(value));
  return *this;
}

Hasher& Hasher::add(std::uint64_t value) {
  mix(value);
  return *this;
}

Hasher& Hasher::add(double value) {
  mix(std::bit_cast<std::uint64_t>(value == 0.0 ? 0.0 : value));
  return *this;
}

Hasher& Hasher::add_bytes(std::span<const std::byte> bytes) {
  mix(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    for (std::size_t j = 0; j < 8 && i + j < bytes.size(); ++j) {  // little-endian on every machine
      word |= static_cast<std::uint64_t>(bytes[i + j]) << (8 * j);
    }
    mix(word);
  }
  return *this;
}

std::uint64_t Hasher::value() const { return scramble(state_); }

std::string hex(std::uint64_t hash) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    text[15 - i] = kDigits[(hash >> (4 * i)) & 15U];
  }
  return text;
}

}  // namespace cosearch
