#include "trainer/data/zip.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <span>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "trainer/data/file_bytes.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kLargestFile = std::int64_t{1} << 32U;
constexpr std::uint32_t kLocalMagic = 0x04034b50;
constexpr std::uint32_t kDirectoryMagic = 0x02014b50;
constexpr std::uint32_t kEndMagic = 0x06054b50;
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kDirectorySize = 46;
constexpr std::size_t kEndSize = 22;
constexpr std::uint32_t kStored = 0;
constexpr std::uint32_t kDeflated = 8;
constexpr std::uint32_t kZip64 = 0xffffffff;
// Deflate cannot do better: a larger claim is damage, and must not make us allocate.
constexpr std::size_t kBestRatio = 1032;

/// @returns whether `packed` inflates to exactly the bytes of `content`.
bool inflate_exactly(std::span<const std::uint8_t> packed, std::span<std::uint8_t> content) {
  z_stream stream{};
  constexpr int kRawWindow = -15;
  COSEARCH_CHECK(inflateInit2(&stream, kRawWindow) == Z_OK, "zlib cannot start");
  std::uint8_t none = 0;  // zlib wants somewhere to write, also when there is nothing to
  stream.next_in = const_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = content.empty() ? &none : content.data();
  stream.avail_out = static_cast<uInt>(content.size());
  const int code = inflate(&stream, Z_FINISH);
  const bool exact = code == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
  inflateEnd(&stream);
  return exact;
}

}  // namespace

ZipArchive::ZipArchive(const std::string& path) : path_(path), bytes_(read_file_bytes(path, kLargestFile - 1)) {
  read_directory();
}

std::size_t ZipArchive::find_end_record() const {
  constexpr std::size_t kLongestComment = 65'535;
  if (bytes_.size() >= kEndSize) {
    const std::size_t last = bytes_.size() - kEndSize;
    for (std::size_t back = 0; back <= std::min(last, kLongestComment); ++back) {
      if (little_endian_32(bytes_, last - back) == kEndMagic && little_endian_16(bytes_, last - back + 20) == back) {
        return last - back;
      }
    }
  }
  throw ConfigError(
      "", fmt::format("is no ZIP archive or truncated: its {} bytes end without a directory", bytes_.size()), path_);
}

void ZipArchive::read_directory() {
  const std::size_t end = find_end_record();
  const std::size_t count = little_endian_16(bytes_, end + 10);
  std::size_t at = little_endian_32(bytes_, end + 16);
  for (std::size_t i = 0; i < count; ++i) {
    if (at > end || end - at < kDirectorySize || little_endian_32(bytes_, at) != kDirectoryMagic) {
      throw ConfigError("", fmt::format("is damaged: entry {} of {} of its directory is none", i, count), path_);
    }
    const std::size_t name_size = little_endian_16(bytes_, at + 28);
    const std::size_t entry_size =
        kDirectorySize + name_size + little_endian_16(bytes_, at + 30) + little_endian_16(bytes_, at + 32);
    if (end - at < entry_size) {
      throw ConfigError("", fmt::format("is damaged: entry {} of {} of its directory is cut off", i, count), path_);
    }
    const auto first = bytes_.begin() + static_cast<std::ptrdiff_t>(at + kDirectorySize);
    const std::string name(first, first + static_cast<std::ptrdiff_t>(name_size));
    if (std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; })) {
      throw ConfigError("", fmt::format("is damaged: the name of entry {} has control characters", i), path_);
    }
    const Member member{.method = little_endian_16(bytes_, at + 10),
                        .crc = little_endian_32(bytes_, at + 16),
                        .packed = little_endian_32(bytes_, at + 20),
                        .size = little_endian_32(bytes_, at + 24),
                        .header = little_endian_32(bytes_, at + 42)};
    if (!members_.emplace(name, member).second) {
      throw ConfigError("", fmt::format("holds two members of the name of entry {}", i), path_);
    }
    at += entry_size;
  }
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> names;
  for (const auto& [name, member] : members_) {
    names.push_back(name);
  }
  return names;
}

std::vector<std::uint8_t> ZipArchive::read(const std::string& name) const {
  const Member& member = members_.at(name);
  const auto error = [&](const std::string& message) {
    return ConfigError("", fmt::format("member \"{}\" {}", name, message), path_);
  };
  if (member.method != kStored && member.method != kDeflated) {
    throw error(fmt::format("is compressed by method {}, expected 0 (stored) or 8 (deflated)", member.method));
  }
  if (member.packed == kZip64 || member.size == kZip64 || member.header == kZip64) {
    throw error("has Zip64 sizes, expected less than 4 GiB");
  }
  if (member.header > bytes_.size() || bytes_.size() - member.header < kLocalSize ||
      little_endian_32(bytes_, member.header) != kLocalMagic) {
    throw error("is damaged: no local header where the directory says");
  }
  // Lengths in the local header differ from those in the directory: writers put other extra fields there.
  const std::size_t begin = member.header + kLocalSize + little_endian_16(bytes_, member.header + 26) +
                            little_endian_16(bytes_, member.header + 28);
  if (begin > bytes_.size() || bytes_.size() - begin < member.packed) {
    throw error(fmt::format("is damaged: {} bytes do not fit between its header and the archive's end", member.packed));
  }
  const auto packed = std::span(bytes_).subspan(begin, member.packed);
  const bool possible =
      member.method == kStored ? member.size == member.packed : member.size <= kBestRatio * (member.packed + 1);
  if (!possible) {
    throw error(fmt::format("is damaged: {} bytes cannot become {}", member.packed, member.size));
  }
  std::vector<std::uint8_t> content(member.size);
  if (member.method == kStored) {
    std::copy(packed.begin(), packed.end(), content.begin());
  } else if (!inflate_exactly(packed, content)) {
    throw error(fmt::format("is damaged: does not inflate to its {} bytes", member.size));
  }
  const auto crc = static_cast<std::uint32_t>(crc32_z(0, content.data(), content.size()));
  if (crc != member.crc) {
    throw error(fmt::format("is damaged: its CRC-32 is {:08x}, expected {:08x}", crc, member.crc));
  }
  return content;
}

}  // namespace cosearch
