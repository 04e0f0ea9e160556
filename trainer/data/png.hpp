#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cosearch {

struct Picture {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::vector<std::uint8_t> pixels;  ///< (height, width, channels)
};

/// Reads a PNG file through libpng as 8-bit sRGB with 1 (grey: luminance) or 3 (red, green, blue) channels, whatever
/// the file's own form is; transparent pixels lie on black.
/// @throws ConfigError with the path: missing, no PNG, truncated, damaged, more than 2^26 pixels.
[[nodiscard]] Picture read_png(const std::string& path, std::int64_t channels);

/// Resized by linear interpolation with half-pixel centres: the weight of a source pixel is the triangle
/// max(0, 1 - |distance| / s), s being the larger of 1 and source size / target size per axis, so a picture that
/// shrinks is averaged and not sampled. Weights are normalised, columns first, results rounded. Equal sizes copy.
void resize(const Picture& picture, std::int64_t height, std::int64_t width, std::span<std::uint8_t> out);

}  // namespace cosearch
