#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// The IDX format of the MNIST family: a big-endian magic number, one big-endian 32-bit size per dimension, bytes.
/// Files may be gzip-compressed; which they are is read from the file, not from its name.
/// All functions throw ConfigError naming the path, what was read and what was expected.
namespace cosearch {

struct IdxImages {
  std::int64_t count = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;  ///< (count, height, width)
};

/// Magic number 2051, three dimensions.
[[nodiscard]] IdxImages read_idx_images(const std::string& path);
/// Magic number 2049, one dimension, every label in [0, classes).
[[nodiscard]] std::vector<std::uint8_t> read_idx_labels(const std::string& path, std::int64_t classes);

}  // namespace cosearch
