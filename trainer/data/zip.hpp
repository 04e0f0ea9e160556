#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cosearch {

/// A ZIP archive whose members are stored or deflated; no encryption, no Zip64 sizes (4 GiB and more).
/// Format: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end record).
class ZipArchive {
 public:
  /// Reads the file and its directory. @throws ConfigError with the path: missing, no archive, truncated, damaged.
  explicit ZipArchive(const std::string& path);

  [[nodiscard]] std::vector<std::string> names() const;  ///< sorted
  [[nodiscard]] bool has(const std::string& name) const { return members_.contains(name); }
  /// The member's content, checked by its CRC-32. @throws ConfigError: damaged, or neither stored nor deflated.
  /// @pre `has(name)`.
  [[nodiscard]] std::vector<std::uint8_t> read(const std::string& name) const;

 private:
  struct Member {
    std::uint32_t method = 0;
    std::uint32_t crc = 0;
    std::size_t packed = 0;  ///< bytes in the archive
    std::size_t size = 0;    ///< bytes of the content
    std::size_t header = 0;  ///< offset of the local header
  };

  void read_directory();
  [[nodiscard]] std::size_t find_end_record() const;

  std::string path_;
  std::vector<std::uint8_t> bytes_;
  std::map<std::string, Member> members_;
};

}  // namespace cosearch
