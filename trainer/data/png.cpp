#include "trainer/data/png.hpp"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "trainer/data/file_bytes.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kLargestFile = std::int64_t{1} << 28U;
constexpr std::int64_t kMostPixels = std::int64_t{1} << 26U;

/// libpng's view of a picture; freed with its owner.
struct PngImage {
  png_image value{};
  PngImage() { value.version = PNG_IMAGE_VERSION; }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
  ~PngImage() { png_image_free(&value); }
};

/// What one target row or column takes: source places [first, first + weights.size()).
struct Window {
  std::int64_t first = 0;
  std::vector<double> weights;
};

std::vector<Window> triangle_windows(std::int64_t from, std::int64_t to) {
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(1.0, ratio);
  std::vector<Window> windows(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    Window& window = windows[static_cast<std::size_t>(i)];
    const double centre = std::clamp((static_cast<double>(i) + 0.5) * ratio - 0.5, 0.0, static_cast<double>(from - 1));
    window.first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(centre - reach)));
    const std::int64_t last = std::min(from - 1, static_cast<std::int64_t>(std::floor(centre + reach)));
    double sum = 0.0;
    for (std::int64_t j = window.first; j <= last; ++j) {
      window.weights.push_back(std::max(0.0, 1.0 - std::abs(static_cast<double>(j) - centre) / reach));
      sum += window.weights.back();
    }
    for (double& weight : window.weights) {
      weight /= sum;
    }
  }
  return windows;
}

}  // namespace

Picture read_png(const std::string& path, std::int64_t channels) {
  COSEARCH_CHECK(channels == 1 || channels == 3, "pictures are grey or RGB");
  const std::vector<std::uint8_t> bytes = read_file_bytes(path, kLargestFile);
  PngImage image;
  const auto fail = [&](const std::string& message) { throw ConfigError("", message, path); };
  if (png_image_begin_read_from_memory(&image.value, bytes.data(), bytes.size()) == 0) {
    fail(fmt::format("is no PNG file or damaged: {} ({} bytes)", image.value.message, bytes.size()));
  }
  // libpng stops at the last row; a file that was cut off behind it is still damaged.
  constexpr std::array<std::uint8_t, 12> kEnd{0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
  if (bytes.size() < kEnd.size() || !std::equal(kEnd.begin(), kEnd.end(), bytes.end() - kEnd.size())) {
    fail(fmt::format("is truncated or damaged: its {} bytes do not end with an IEND chunk", bytes.size()));
  }
  Picture picture{image.value.height, image.value.width, channels, {}};
  if (picture.height > kMostPixels / picture.width) {
    fail(fmt::format("has {} x {} pixels, expected at most {}", picture.height, picture.width, kMostPixels));
  }
  picture.pixels.resize(static_cast<std::size_t>(picture.height * picture.width * channels));
  image.value.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&image.value, &black, picture.pixels.data(), 0, nullptr) == 0) {
    fail(fmt::format("is damaged: {}", image.value.message));
  }
  return picture;
}

void resize(const Picture& picture, std::int64_t height, std::int64_t width, std::span<std::uint8_t> out) {
  const std::int64_t channels = picture.channels;
  COSEARCH_CHECK(static_cast<std::int64_t>(out.size()) == height * width * channels, "picture of another size");
  if (picture.height == height && picture.width == width) {
    std::copy(picture.pixels.begin(), picture.pixels.end(), out.begin());
    return;
  }
  const std::vector<Window> rows = triangle_windows(picture.height, height);
  const std::vector<Window> columns = triangle_windows(picture.width, width);
  std::vector<double> narrow(
      static_cast<std::size_t>(picture.height * width * channels));  // (picture.height, width, c)
  std::size_t at = 0;
  for (std::int64_t y = 0; y < picture.height; ++y) {
    for (const Window& column : columns) {
      const std::int64_t source = (y * picture.width + column.first) * channels;
      for (std::int64_t c = 0; c < channels; ++c, ++at) {
        for (std::size_t j = 0; j < column.weights.size(); ++j) {
          const auto pixel = static_cast<std::size_t>(source + static_cast<std::int64_t>(j) * channels + c);
          narrow[at] += column.weights[j] * picture.pixels[pixel];
        }
      }
    }
  }
  const std::int64_t stride = width * channels;
  at = 0;
  for (const Window& row : rows) {
    for (std::int64_t x = 0; x < stride; ++x, ++at) {
      double sum = 0.0;
      for (std::size_t j = 0; j < row.weights.size(); ++j) {
        const std::int64_t y = row.first + static_cast<std::int64_t>(j);
        sum += row.weights[j] * narrow[static_cast<std::size_t>(y * stride + x)];
      }
      out[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(std::clamp(std::round(sum), 0.0, 255.0));
    }
  }
}

}  // namespace cosearch
