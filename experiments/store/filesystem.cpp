#include "experiments/store/filesystem.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "experiments/store/store.hpp"

namespace cosearch {
namespace {

struct FilesystemName {
  unsigned long type;
  std::string_view name;
};
// Magic numbers of statfs(2) and of linux/magic.h.
constexpr std::array kNetworkFilesystems{
    FilesystemName{0x6969, "NFS"},        FilesystemName{0x517B, "SMB"},        FilesystemName{0xFF534D42, "CIFS"},
    FilesystemName{0xFE534D42, "SMB2"},   FilesystemName{0x65735546, "FUSE"},   FilesystemName{0x01021997, "9P"},
    FilesystemName{0x00C36400, "Ceph"},   FilesystemName{0x5346414F, "AFS"},    FilesystemName{0x6B414653, "AFS"},
    FilesystemName{0x73757245, "Coda"},   FilesystemName{0x0BD00BD0, "Lustre"}, FilesystemName{0x47504653, "GPFS"},
    FilesystemName{0x19830326, "BeeGFS"},
};

std::string holder_of(int descriptor) {
  std::array<char, 128> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size(), 0);
  std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  holder.erase(std::find(holder.begin(), holder.end(), '\n'), holder.end());
  return holder.empty() ? "another process" : holder;
}

void sign(int descriptor) {
  std::array<char, 65> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) {
    host = {'?'};
  }
  const std::string text = fmt::format("process {} on {}\n", getpid(), host.data());
  // The file only names the holder in a message; the lock itself is the flock.
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, text.data(), text.size(), 0) < 0) {
    return;
  }
}

/// Whether the locked file is still the one that the path names: its last holder may have removed it in between.
bool still_at(int descriptor, const std::filesystem::path& path) {
  struct stat locked {};
  struct stat named {};
  return fstat(descriptor, &locked) == 0 && stat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
         locked.st_dev == named.st_dev;
}

}  // namespace

std::optional<std::string_view> network_filesystem(long type) noexcept {
  // Some kernels sign-extend the 32-bit magic number.
  const unsigned long magic = static_cast<unsigned long>(type) & 0xFFFFFFFFUL;
  const auto* const found = std::find_if(kNetworkFilesystems.begin(), kNetworkFilesystems.end(),
                                         [&](const FilesystemName& entry) { return entry.type == magic; });
  return found == kNetworkFilesystems.end() ? std::nullopt : std::optional(found->name);
}

void check_folder_for_writing(const std::filesystem::path& database) {
  const std::filesystem::path folder = std::filesystem::absolute(database).parent_path();
  struct statfs status {};
  if (statfs(folder.c_str(), &status) != 0) {
    throw StoreError(
        5, fmt::format("{}: folder {} cannot be used: {}", database.string(), folder.string(), std::strerror(errno)));
  }
  if (const auto name = network_filesystem(static_cast<long>(status.f_type))) {
    throw StoreError(5,
                     fmt::format("{}: is on a {} filesystem, where SQLite's locks are not safe; put the database on a "
                                 "local disk and copy it there when the campaign is done",
                                 database.string(), *name));
  }
}

WriterLock::WriterLock(const std::filesystem::path& database) : path_(database.string() + ".lock") {
  while (true) {
    descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) {
      throw StoreError(
          5, fmt::format("{}: cannot be written: {}: {}", database.string(), path_.string(), std::strerror(errno)));
    }
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const std::string holder = holder_of(descriptor_);
      close(descriptor_);
      throw StoreError(5, error == EWOULDBLOCK
                              ? fmt::format("{}: is being written by {}; wait for it to end, or read only",
                                            database.string(), holder)
                              : fmt::format("{}: cannot be locked: {}", database.string(), std::strerror(error)));
    }
    if (still_at(descriptor_, path_)) {
      sign(descriptor_);
      return;
    }
    close(descriptor_);
  }
}

WriterLock::WriterLock(WriterLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

WriterLock::~WriterLock() {
  if (descriptor_ >= 0) {
    unlink(path_.c_str());  // while the lock is held, so that nobody's new file is removed
    close(descriptor_);
  }
}

}  // namespace cosearch
