#include "trainer/data/idx.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spaces/base/config_error.hpp"
#include "tests/trainer/data/idx_files.hpp"
#include "tests/trainer/temporary_directory.hpp"

namespace cosearch {
namespace {

using testing::big_endian;
using testing::gzip;
using ::testing::HasSubstr;
using testing::idx_images;
using testing::idx_labels;
using ::testing::Not;
using testing::TemporaryDirectory;
using testing::write_file;

TEST(Idx, ReadsPlainAndCompressedFilesAlike) {
  const TemporaryDirectory directory;
  const std::string bytes = idx_images(3, 4, 5);
  for (const std::string& content : {bytes, gzip(bytes)}) {
    write_file(directory.file("images"), content);
    const IdxImages images = read_idx_images(directory.file("images"));
    EXPECT_EQ(images.count, 3);
    EXPECT_EQ(images.height, 4);
    EXPECT_EQ(images.width, 5);
    ASSERT_EQ(images.pixels.size(), 60U);
    for (std::size_t i = 0; i < images.pixels.size(); ++i) {
      ASSERT_EQ(images.pixels[i], static_cast<std::uint8_t>(i * 7));
    }
  }
  for (const std::string& content : {idx_labels({0, 9, 4}), gzip(idx_labels({0, 9, 4}))}) {
    write_file(directory.file("labels"), content);
    EXPECT_EQ(read_idx_labels(directory.file("labels"), 10), (std::vector<std::uint8_t>{0, 9, 4}));
  }
}

struct BadFile {
  std::string name;
  bool images;
  std::string content;
  std::string message;
};

std::vector<BadFile> bad_files() {
  const std::string images = idx_images(3, 4, 5);
  const std::string packed = gzip(images);
  std::string flipped = packed;
  flipped[flipped.size() - 6] = static_cast<char>(flipped[flipped.size() - 6] ^ 0x55);  // within the checksum
  return {
      {"empty", true, "", "holds 0 bytes, expected an IDX header of 16"},
      {"short_header", true, images.substr(0, 9), "holds 9 bytes, expected an IDX header of 16"},
      {"labels_for_images", true, idx_labels({1, 2, 3, 4, 5, 6, 7, 8}), "begins with the number 2049, expected 2051"},
      {"images_for_labels", false, images, "begins with the number 2051, expected 2049"},
      {"no_idx", true, "this is a text and no data set", "expected 2051 (IDX images)"},
      {"truncated_images", true, images.substr(0, images.size() - 1),
       "is truncated: holds 59 bytes after its header, expected 60 (3 images of 4 x 5)"},
      {"truncated_compressed_images", true, gzip(images.substr(0, 40)),
       "is truncated: holds 24 bytes after its header, expected 60"},
      {"truncated_stream", true, packed.substr(0, packed.size() / 2), "is truncated"},
      {"missing_trailer", true, packed.substr(0, packed.size() - 5), "compressed stream ends without a checksum"},
      {"wrong_checksum", true, flipped, "is damaged"},
      {"extra_bytes", true, images + "x", "holds more than the 60 bytes after its header"},
      {"no_images", true, big_endian(2051) + big_endian(0) + big_endian(28) + big_endian(28), "dimension 0"},
      {"absurd_size", true, big_endian(2051) + big_endian(4294967295U) + big_endian(4294967295U) + big_endian(28),
       "dimension 1 of its header is 4294967295"},
      {"truncated_labels", false, idx_labels({1, 2, 3}).substr(0, 10), "holds 2 bytes after its header, expected 3"},
      {"label_out_of_range", false, idx_labels({1, 9, 10, 3}), "label 10 of image 2 is out of range, expected 0 to 9"},
  };
}

TEST(Idx, BadFilesAreNamedWithWhatWasReadAndExpected) {
  const TemporaryDirectory directory;
  for (const BadFile& bad : bad_files()) {
    const std::string path = directory.file(bad.name);
    write_file(path, bad.content);
    try {
      if (bad.images) {
        static_cast<void>(read_idx_images(path));
      } else {
        static_cast<void>(read_idx_labels(path, 10));
      }
      ADD_FAILURE() << bad.name << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.file(), path);
      EXPECT_THAT(error.what(), HasSubstr(bad.message)) << bad.name;
      EXPECT_THAT(error.what(), Not(HasSubstr("\n"))) << bad.name;
    }
  }
}

TEST(Idx, MissingFileAndDirectoryAreErrors) {
  const TemporaryDirectory directory;
  EXPECT_THROW(static_cast<void>(read_idx_images(directory.file("none"))), ConfigError);
  EXPECT_THROW(static_cast<void>(read_idx_images(directory.path())), ConfigError);
}

}  // namespace
}  // namespace cosearch
