#include "trainer/train/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "spaces/base/hash.hpp"

namespace cosearch {
namespace {

/// The file is an array of little-endian 64-bit words, the floats, and a hash over all that comes before it. Files are
/// read on the machine that wrote them, so floats are stored as they lie in memory.
constexpr std::uint64_t kMagic = 0x3174'706b'6863'7363ULL;  // "cschkpt1"

struct Header {
  std::uint64_t magic = kMagic;
  std::uint64_t key = 0;
  std::int64_t step = 0;
  std::uint64_t epoch_loss_bits = 0;
  std::int64_t epoch_steps = 0;
  std::int64_t parameters = 0;
  std::int64_t optimizer = 0;
};

std::uint64_t content_hash(const Header& header, std::span<const float> parameters, std::span<const float> optimizer) {
  return Hasher{}
      .add_bytes(std::as_bytes(std::span(&header, 1)))
      .add_bytes(std::as_bytes(parameters))
      .add_bytes(std::as_bytes(optimizer))
      .value();
}

[[noreturn]] void fail(const std::string& path, const char* action) {
  throw std::runtime_error(fmt::format("cannot {} checkpoint {}: {}", action, path, std::strerror(errno)));
}

class OutputFile {
 public:
  explicit OutputFile(std::string path)
      : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) {
      fail(path_, "create");
    }
  }
  ~OutputFile() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) {
        fail(path_, "write");
      }
      bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
    }
  }
  void close() {
    if (::fsync(descriptor_) != 0) {
      fail(path_, "flush");
    }
    const int result = ::close(descriptor_);
    descriptor_ = -1;
    if (result != 0) {
      fail(path_, "close");
    }
  }

 private:
  std::string path_;
  int descriptor_;
};

template <class T>
bool read_into(std::ifstream& file, std::span<T> values) {
  const auto bytes = static_cast<std::streamsize>(values.size_bytes());
  file.read(reinterpret_cast<char*>(values.data()), bytes);
  return file.gcount() == bytes;
}

}  // namespace

void save_checkpoint(const std::string& path, std::uint64_t key, const TrainPosition& position,
                     const Parameters& parameters, const Optimizer& optimizer) {
  const Header header{.key = key,
                      .step = position.step,
                      .epoch_loss_bits = std::bit_cast<std::uint64_t>(position.epoch_loss),
                      .epoch_steps = position.epoch_steps,
                      .parameters = static_cast<std::int64_t>(parameters.values().size()),
                      .optimizer = static_cast<std::int64_t>(optimizer.state().size())};
  const std::uint64_t hash = content_hash(header, parameters.values(), optimizer.state());
  const std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  OutputFile file(temporary);
  file.write(std::as_bytes(std::span(&header, 1)));
  file.write(std::as_bytes(parameters.values()));
  file.write(std::as_bytes(optimizer.state()));
  file.write(std::as_bytes(std::span(&hash, 1)));
  file.close();
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) {
    throw std::runtime_error(fmt::format("cannot rename checkpoint {} to {}: {}", temporary, path, error.message()));
  }
}

std::optional<TrainPosition> load_checkpoint(const std::string& path, std::uint64_t key, Parameters& parameters,
                                             Optimizer& optimizer) {
  std::ifstream file(path, std::ios::binary);
  Header header;
  if (!file || !read_into(file, std::span(&header, 1)) || header.magic != kMagic || header.key != key ||
      header.parameters != static_cast<std::int64_t>(parameters.values().size()) ||
      header.optimizer != static_cast<std::int64_t>(optimizer.state().size())) {
    return std::nullopt;
  }
  std::vector<float> values(parameters.values().size());
  std::vector<float> state(optimizer.state().size());
  std::uint64_t hash = 0;
  if (!read_into(file, std::span(values)) || !read_into(file, std::span(state)) ||
      !read_into(file, std::span(&hash, 1)) || hash != content_hash(header, values, state)) {
    return std::nullopt;
  }
  std::copy(values.begin(), values.end(), parameters.values().begin());
  std::copy(state.begin(), state.end(), optimizer.state().begin());
  return TrainPosition{header.step, std::bit_cast<double>(header.epoch_loss_bits), header.epoch_steps};
}

}  // namespace cosearch
