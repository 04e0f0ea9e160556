#include "trainer/data/png.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/trainer/data/file_damage.hpp"
#include "tests/trainer/data/png_files.hpp"

namespace cosearch {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::png;
using testing::write_file;

std::vector<std::uint8_t> noise(std::size_t count) {
  RngStream rng(4, Purpose::test, count);
  std::vector<std::uint8_t> values(count);
  std::generate(values.begin(), values.end(), [&] { return static_cast<std::uint8_t>(rng.below(256)); });
  return values;
}

TEST(Png, GreyAndColourComeBackExactly) {
  const testing::TemporaryDirectory directory;
  for (const std::int64_t channels : {1, 3}) {
    const std::vector<std::uint8_t> pixels = noise(static_cast<std::size_t>(5 * 7 * channels));
    write_file(directory.file("a.png"), png(5, 7, pixels));
    const Picture picture = read_png(directory.file("a.png"), channels);
    EXPECT_EQ(picture.height, 5);
    EXPECT_EQ(picture.width, 7);
    EXPECT_EQ(picture.pixels, pixels);
  }
}

TEST(Png, GreyIsRepeatedAndTransparencyLiesOnBlack) {
  const testing::TemporaryDirectory directory;
  write_file(directory.file("a.png"), png(1, 2, {9, 200}));
  EXPECT_EQ(read_png(directory.file("a.png"), 3).pixels, (std::vector<std::uint8_t>{9, 9, 9, 200, 200, 200}));
  write_file(directory.file("a.png"), png(1, 2, {10, 20, 30, 255, 40, 50, 60, 0}));
  EXPECT_EQ(read_png(directory.file("a.png"), 3).pixels, (std::vector<std::uint8_t>{10, 20, 30, 0, 0, 0}));
  write_file(directory.file("a.png"), png(1, 2, {77, 77, 77, 0, 255, 0}));
  const std::vector<std::uint8_t> grey = read_png(directory.file("a.png"), 1).pixels;
  EXPECT_EQ(grey[0], 77);
  EXPECT_GT(grey[1], 180);  // green carries most of the luminance
}

TEST(Png, DamagedFilesAreRefusedOrRead) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("a.png");
  const std::string bytes = png(6, 6, noise(108));
  const auto read = [&] { static_cast<void>(read_png(path, 3)); };
  testing::expect_truncations_refused(path, bytes, read);
  EXPECT_GT(testing::count_refused_flips(path, bytes, 200, read), 160);
  write_file(path, "GIF89a");
  EXPECT_THAT(error_of(read), HasSubstr("a.png: is no PNG file or damaged"));
  write_file(path, bytes.substr(0, bytes.size() - 3));
  EXPECT_THAT(error_of(read), HasSubstr("do not end with an IEND chunk"));
}

/// The weighted mean over all source pixels, weights being products of triangles.
double triangle_mean(const Picture& picture, std::int64_t height, std::int64_t width, std::int64_t y, std::int64_t x,
                     std::int64_t c) {
  const auto weight = [](std::int64_t target, std::int64_t to, std::int64_t source, std::int64_t from) {
    const double ratio = static_cast<double>(from) / static_cast<double>(to);
    const double centre =
        std::min(std::max((static_cast<double>(target) + 0.5) * ratio - 0.5, 0.0), static_cast<double>(from - 1));
    return std::max(0.0, 1.0 - std::abs(static_cast<double>(source) - centre) / std::max(1.0, ratio));
  };
  double sum = 0.0;
  double weights = 0.0;
  for (std::int64_t i = 0; i < picture.height; ++i) {
    for (std::int64_t j = 0; j < picture.width; ++j) {
      const double w = weight(y, height, i, picture.height) * weight(x, width, j, picture.width);
      sum += w * picture.pixels[static_cast<std::size_t>((i * picture.width + j) * picture.channels + c)];
      weights += w;
    }
  }
  return sum / weights;
}

TEST(Resize, EqualsTheTriangleFilterAndCopiesEqualSizes) {
  const Picture picture{9, 6, 3, noise(162)};
  for (const auto& [height, width] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{4, 3}, {18, 13}, {1, 1}, {9, 20}}) {
    std::vector<std::uint8_t> out(static_cast<std::size_t>(height * width * 3));
    resize(picture, height, width, out);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      ASSERT_NEAR(out[i], triangle_mean(picture, height, width, at / 3 / width, at / 3 % width, at % 3), 0.5 + 1e-9);
    }
  }
  std::vector<std::uint8_t> same(162);
  resize(picture, 9, 6, same);
  EXPECT_EQ(same, picture.pixels);
}

}  // namespace
}  // namespace cosearch
