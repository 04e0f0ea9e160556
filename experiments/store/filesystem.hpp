#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace cosearch {

/// Name of the network or user-space filesystem that statfs(2) calls `type`, nothing for local ones. SQLite's WAL needs
/// shared memory and byte-range locks that work; there they may not (sqlite.org/wal.html, "must be on the same host").
[[nodiscard]] std::optional<std::string_view> network_filesystem(long type) noexcept;

/// The right to write to a database: an flock(2) on `<database>.lock`, which names the process. The kernel gives it
/// back when the process ends, however it ends, so a crash never blocks; an orderly end also removes the file.
class WriterLock {
 public:
  /// @throws StoreError 5: held by another process (names it), or the folder cannot be written.
  explicit WriterLock(const std::filesystem::path& database);
  WriterLock(WriterLock&& other) noexcept;
  WriterLock& operator=(WriterLock&&) = delete;
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  ~WriterLock();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// @throws StoreError 5 when the folder of `database` does not exist or is on a network filesystem.
void check_folder_for_writing(const std::filesystem::path& database);

}  // namespace cosearch
