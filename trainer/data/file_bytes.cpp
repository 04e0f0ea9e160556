#include "trainer/data/file_bytes.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

template <class Word>
Word little_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  COSEARCH_CHECK(bytes.size() >= sizeof(Word) && at <= bytes.size() - sizeof(Word), "number beyond the bytes");
  std::uint64_t word = 0;
  for (std::size_t i = sizeof(Word); i-- > 0;) {
    word = (word << 8U) | bytes[at + i];
  }
  return static_cast<Word>(word);
}

}  // namespace

std::vector<std::uint8_t> read_file_bytes(const std::string& path, std::int64_t largest) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code)) {
    throw ConfigError("", fmt::format("cannot be read: {}", code ? code.message() : "is no file"), path);
  }
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  const std::uintmax_t size = std::filesystem::file_size(path, code);
  if (!file || code) {
    throw ConfigError("", fmt::format("cannot be read: {}", code ? code.message() : std::strerror(errno)), path);
  }
  if (size > static_cast<std::uintmax_t>(largest)) {
    throw ConfigError("", fmt::format("holds {} bytes, expected at most {}", size, largest), path);
  }
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (got != bytes.size()) {
    throw ConfigError("", fmt::format("cannot be read: {} of {} bytes came", got, bytes.size()), path);
  }
  return bytes;
}

std::uint16_t little_endian_16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return little_endian<std::uint16_t>(bytes, at);
}

std::uint32_t little_endian_32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return little_endian<std::uint32_t>(bytes, at);
}

std::uint64_t little_endian_64(std::span<const std::uint8_t> bytes, std::size_t at) {
  return little_endian<std::uint64_t>(bytes, at);
}

}  // namespace cosearch
