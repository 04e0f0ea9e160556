#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/data/file_damage.hpp"
#include "tests/trainer/data/idx_files.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::loading_error;
using testing::write_file;

class IdxPair : public ::testing::Test {
 protected:
  IdxPair() {
    write_file(directory_.file("images"), testing::idx_images(12, 4, 5));
    write_file(directory_.file("labels"), testing::idx_labels({0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}));
    write_file(directory_.file("test_images.gz"), testing::gzip(testing::idx_images(3, 4, 5)));
    write_file(directory_.file("test_labels.gz"), testing::gzip(testing::idx_labels({2, 1, 0})));
    config_ = {{"name", "idx"},
               {"images", directory_.file("images")},
               {"labels", directory_.file("labels")},
               {"test_images", directory_.file("test_images.gz")},
               {"test_labels", directory_.file("test_labels.gz")},
               {"height", 4},
               {"width", 5},
               {"classes", 3},
               {"search", 3}};
  }
  testing::TemporaryDirectory directory_;
  json config_;
};

TEST_F(IdxPair, ReadsBothPairsAndHoldsOneOfEachClassOut) {
  const TaskData data = load_task_data(config_);
  EXPECT_EQ(data.name, "idx");
  EXPECT_EQ(data.train.size(), 9);
  EXPECT_THAT(data.search.labels, ::testing::UnorderedElementsAre(0, 1, 2));
  EXPECT_EQ(data.test.labels, (std::vector<std::uint8_t>{2, 1, 0}));
  ASSERT_EQ(data.test.pixels.size(), 60U);
  EXPECT_EQ(data.test.pixels[59], static_cast<std::uint8_t>(59 * 7));
  EXPECT_EQ(task_shape_of(config_).sample, data.train.sample);
}

TEST_F(IdxPair, FilesThatContradictTheConfigAreNamed) {
  json other = config_;
  other["width"] = 4;
  EXPECT_THAT(loading_error(other), HasSubstr("images: holds images of 4 x 5, the config says 4 x 4"));
  other = config_;
  other["classes"] = 2;
  EXPECT_THAT(loading_error(other), HasSubstr("labels: label 2 of image 2 is out of range, expected 0 to 1"));
  other["classes"] = 4;
  EXPECT_THAT(loading_error(other), HasSubstr("has no training sample of class 3, expected at least 1 of each of 4"));
  other = config_;
  other["search"] = 12;
  EXPECT_EQ(loading_error(other), "/search: 12 of the 12 training samples would be held out, expected at most 11");
  other = config_;
  std::swap(other["images"], other["labels"]);
  EXPECT_THAT(loading_error(other), HasSubstr("begins with the number 2049, expected 2051 (IDX images)"));
  other = config_;
  other["labels"] = directory_.file("test_labels.gz");
  EXPECT_THAT(loading_error(other), HasSubstr("test_labels.gz: holds 3 labels, expected 12, one per image"));
  other["labels"] = "";
  EXPECT_EQ(loading_error(other), "/labels: expected the IDX file of the training labels, read \"\"");
  other.erase("labels");
  EXPECT_EQ(loading_error(other), "/labels: is missing; expected the IDX file of the training labels");
}

TEST_F(IdxPair, DamagedFilesAreRefusedOrRead) {
  const auto load = [&] { static_cast<void>(load_task_data(config_)); };
  for (const char* name : {"images", "labels"}) {
    const std::string path = directory_.file(name);
    const std::string bytes = testing::read_file(path);
    testing::expect_truncations_refused(path, bytes, load);
    EXPECT_GT(testing::count_refused_flips(path, bytes, 100, load), 3);
  }
  const std::string packed = directory_.file("test_images.gz");
  testing::expect_truncations_refused(packed, testing::read_file(packed), load);
  EXPECT_GT(testing::count_refused_flips(packed, testing::read_file(packed), 100, load), 80);
}

}  // namespace
}  // namespace cosearch
