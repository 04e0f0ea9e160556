// The format: https://github.com/huggingface/safetensors ("Format" in its README): 8 bytes little-endian header
// length, a JSON header, the tensors' bytes without gaps.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kLargestHeader = 100'000'000;  // the reference implementation's limit, in bytes

/// A file being written beside its destination; removed unless `commit` was reached.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path) : path_(path) {
    do {
      name_ = fmt::format("{}.{}.{}.tmp", path, getpid(), attempt_++);
      descriptor_ = open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && errno == EEXIST);
    check(descriptor_ >= 0, "created");
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) {
      close(descriptor_);
    }
    if (!committed_) {
      unlink(name_.c_str());
    }
  }

  void write_all(const void* data, std::size_t size) {
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = write(descriptor_, next, size);
      if (written < 0 && errno == EINTR) {
        continue;
      }
      check(written >= 0, "written");
      next += written;
      size -= static_cast<std::size_t>(written);
    }
  }

  /// Flushes the bytes, renames, and flushes the directory, so that the name survives a power cut too.
  void commit() {
    check(fsync(descriptor_) == 0, "flushed");
    const int closed = close(std::exchange(descriptor_, -1));
    check(closed == 0, "closed");
    check(rename(name_.c_str(), path_.c_str()) == 0, "renamed");
    committed_ = true;
    std::filesystem::path folder = std::filesystem::path(path_).parent_path();
    if (folder.empty()) {
      folder = ".";
    }
    const int directory = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(directory >= 0, "flushed (its directory cannot be opened)");
    const bool flushed = fsync(directory) == 0 || errno == EINVAL;  // some file systems know no flush of directories
    close(directory);
    check(flushed, "flushed (its directory)");
  }

 private:
  void check(bool ok, const char* what) const {
    if (!ok) {
      throw std::runtime_error(fmt::format("{}: cannot be {}: {}", path_, what, std::strerror(errno)));
    }
  }

  std::string path_;
  std::string name_;
  int descriptor_ = -1;
  int attempt_ = 0;
  bool committed_ = false;
};

std::vector<char> read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw ConfigError("", fmt::format("cannot be opened: {}", std::strerror(errno)), path);
  }
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure) {
    throw ConfigError("", fmt::format("cannot be read: {}", failure.message()), path);
  }
  std::vector<char> bytes(size);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  if (static_cast<std::size_t>(file.gcount()) != bytes.size()) {
    throw ConfigError("", fmt::format("is truncated: holds {} bytes of {}", file.gcount(), size), path);
  }
  return bytes;
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

/// Reads one file; its errors name the path.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), bytes_(read_file(path)) {}

  [[nodiscard]] std::map<std::string, StoredTensor> read(std::map<std::string, std::string>* metadata) {
    const json header = read_header();
    std::map<std::string, StoredTensor> tensors;
    std::vector<std::array<std::uint64_t, 2>> ranges;
    for (const auto& item : header.items()) {
      if (item.key() == "__metadata__") {
        if (metadata != nullptr) {
          *metadata = read_metadata(item.value());
        }
        continue;
      }
      tensors.emplace(item.key(), read_tensor(item.key(), item.value(), ranges));
    }
    check_coverage(std::move(ranges));
    return tensors;
  }

 private:
  [[nodiscard]] ConfigError error(const std::string& message) const { return {"", message, path_}; }
  [[nodiscard]] ConfigError error(const std::string& tensor, const std::string& message) const {
    return {"", fmt::format("tensor \"{}\": {}", tensor, message), path_};
  }

  json read_header() {
    if (bytes_.size() < kLengthBytes) {
      throw error(fmt::format("is no safetensors file: holds {} bytes, expected 8 or more", bytes_.size()));
    }
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), kLengthBytes);
    const std::uint64_t most = std::min<std::uint64_t>(kLargestHeader, bytes_.size() - kLengthBytes);
    if (length < 2 || length > most) {
      throw error(fmt::format("is no safetensors file or is truncated: its header has {} bytes, expected 2 to {}",
                              length, most));
    }
    const char* begin = bytes_.data() + kLengthBytes;
    json header = json::parse(begin, begin + length, nullptr, false);
    if (*begin != '{' || header.is_discarded() || !header.is_object()) {
      throw error("is no safetensors file: its header is no JSON object");
    }
    body_ = kLengthBytes + length;
    return header;
  }

  [[nodiscard]] std::map<std::string, std::string> read_metadata(const json& value) const {
    std::map<std::string, std::string> metadata;
    if (!value.is_object()) {
      throw error("its __metadata__ is no object");
    }
    for (const auto& item : value.items()) {
      if (!item.value().is_string()) {
        throw error(fmt::format("its __metadata__ \"{}\" is no string", item.key()));
      }
      metadata[item.key()] = item.value().get<std::string>();
    }
    return metadata;
  }

  /// The non-negative integers of header entry `key`.
  [[nodiscard]] std::vector<std::uint64_t> numbers(const std::string& tensor, const json& entry,
                                                   const char* key) const {
    std::vector<std::uint64_t> values;
    if (entry.is_object() && entry.contains(key) && entry.at(key).is_array()) {
      for (const json& value : entry.at(key)) {
        if (!value.is_number_unsigned()) {
          throw error(tensor, fmt::format("its {} holds {}, expected a size", key, value.dump()));
        }
        values.push_back(value.get<std::uint64_t>());
      }
      return values;
    }
    throw error(tensor, fmt::format("has no {}", key));
  }

  [[nodiscard]] StoredTensor read_tensor(const std::string& name, const json& entry,
                                         std::vector<std::array<std::uint64_t, 2>>& ranges) const {
    const std::uint64_t available = bytes_.size() - body_;
    const std::vector<std::uint64_t> shape = numbers(name, entry, "shape");
    const std::vector<std::uint64_t> offsets = numbers(name, entry, "data_offsets");
    if (!entry.contains("dtype") || entry.at("dtype") != "F32") {
      throw error(name, fmt::format("its element type is {}, expected \"F32\"", entry.value("dtype", json()).dump()));
    }
    std::uint64_t expected = sizeof(float);
    StoredTensor tensor;
    for (const std::uint64_t extent : shape) {
      if (extent != 0 && expected > available / extent) {
        throw error(name, fmt::format("its shape needs more than the {} bytes after the header", available));
      }
      expected *= extent;
      tensor.shape.push_back(static_cast<std::int64_t>(extent));
    }
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] - offsets[0] != expected) {
      throw error(name, fmt::format("its data_offsets are {}, expected two that are {} bytes apart",
                                    entry.at("data_offsets").dump(), expected));
    }
    if (offsets[1] > available) {
      throw error(
          name, fmt::format("is truncated: ends at byte {}, the file has {} after its header", offsets[1], available));
    }
    ranges.push_back({offsets[0], offsets[1]});
    tensor.values.resize(expected / sizeof(float));
    if (expected > 0) {
      std::memcpy(tensor.values.data(), bytes_.data() + body_ + offsets[0], expected);
    }
    return tensor;
  }

  void check_coverage(std::vector<std::array<std::uint64_t, 2>> ranges) const {
    std::sort(ranges.begin(), ranges.end());
    std::uint64_t end = 0;
    for (const auto& range : ranges) {
      if (range[0] != end) {
        throw error(fmt::format("its tensors {} at byte {}", range[0] < end ? "overlap" : "leave a gap", end));
      }
      end = range[1];
    }
    if (end != bytes_.size() - body_) {
      throw error(fmt::format("holds {} bytes of tensors, its header describes {}", bytes_.size() - body_, end));
    }
  }

  std::string path_;
  std::vector<char> bytes_;
  std::uint64_t body_ = 0;
};

}  // namespace

void save_safetensors(const WeightStore& store, const std::map<std::string, std::string>& metadata,
                      const std::string& path) {
  json header = json::object();
  if (!metadata.empty()) {
    header["__metadata__"] = metadata;
  }
  std::uint64_t offset = 0;
  for (const auto& [name, weight] : store.weights()) {
    const std::uint64_t end = offset + weight.values.size() * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", weight.spec.shape()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');  // aligns the tensors
  const std::uint64_t length = text.size();

  TemporaryFile file(path);
  file.write_all(&length, sizeof length);
  file.write_all(text.data(), text.size());
  for (const auto& [name, weight] : store.weights()) {
    file.write_all(weight.values.data(), weight.values.size() * sizeof(float));
  }
  file.commit();
}

std::map<std::string, StoredTensor> read_safetensors(const std::string& path,
                                                     std::map<std::string, std::string>* metadata) {
  return Reader(path).read(metadata);
}

WeightStore load_safetensors(const std::string& path, const graph::NetworkGraph& graph,
                             std::map<std::string, std::string>* metadata) {
  return load_safetensors(path, graph::weights(graph), metadata);
}

WeightStore load_safetensors(const std::string& path, const std::vector<graph::WeightSpec>& specs,
                             std::map<std::string, std::string>* metadata) {
  std::map<std::string, StoredTensor> tensors = read_safetensors(path, metadata);
  WeightStore store;
  for (const graph::WeightSpec& spec : specs) {
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) {
      throw ConfigError("", fmt::format("has no tensor \"{}\", which the network needs", spec.name), path);
    }
    if (found->second.shape != spec.shape()) {
      throw ConfigError("",
                        fmt::format("tensor \"{}\": its shape is {}, the network needs {}", spec.name,
                                    shape_text(found->second.shape), shape_text(spec.shape())),
                        path);
    }
    store.insert({spec, std::move(found->second.values)});
    tensors.erase(found);
  }
  if (!tensors.empty()) {
    throw ConfigError("", fmt::format("tensor \"{}\" does not belong to the network", tensors.begin()->first), path);
  }
  return store;
}

}  // namespace cosearch
