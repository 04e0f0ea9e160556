#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cosearch {

/// The whole file. @throws ConfigError with the path: cannot be opened or read, or holds more than `largest` bytes.
[[nodiscard]] std::vector<std::uint8_t> read_file_bytes(const std::string& path, std::int64_t largest);

/// Little-endian numbers at `at`, which the caller has checked to lie within `bytes`.
[[nodiscard]] std::uint16_t little_endian_16(std::span<const std::uint8_t> bytes, std::size_t at);
[[nodiscard]] std::uint32_t little_endian_32(std::span<const std::uint8_t> bytes, std::size_t at);
[[nodiscard]] std::uint64_t little_endian_64(std::span<const std::uint8_t> bytes, std::size_t at);

}  // namespace cosearch
