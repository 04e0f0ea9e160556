#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/data/file_damage.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::loading_error;
using testing::write_file;

/// A record whose red, green and blue planes hold value, value + 1 and value + 2, each row + column brighter.
std::string record(const std::string& labels, int value) {
  std::string bytes = labels;
  for (int channel = 0; channel < 3; ++channel) {
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        bytes.push_back(static_cast<char>(value + channel + 2 * y + x));
      }
    }
  }
  return bytes;
}

std::string label(int value) { return {static_cast<char>(value)}; }

class Cifar : public ::testing::Test {
 protected:
  Cifar() {
    for (int batch = 1; batch <= 5; ++batch) {
      std::string bytes;
      for (int i = 0; i < 4; ++i) {
        bytes += record(label((4 * batch + i) % 10), batch);
      }
      write_file(directory_.file("data_batch_" + std::to_string(batch) + ".bin"), bytes);
    }
    write_file(directory_.file("test_batch.bin"), record(label(7), 100));
    config_ = {{"name", "cifar"}, {"directory", directory_.path()}, {"search", 10}};
  }
  testing::TemporaryDirectory directory_;
  json config_;
};

TEST_F(Cifar, ReadsFiveBatchesWithChannelsLast) {
  const TaskData data = load_task_data(config_);
  EXPECT_EQ(data.train.sample, (graph::Shape{32, 32, 3}));
  EXPECT_EQ(data.train.classes, 10);
  EXPECT_EQ(data.train.size(), 10);
  EXPECT_EQ(data.search.size(), 10);
  EXPECT_EQ(data.test.labels, std::vector<std::uint8_t>{7});
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        ASSERT_EQ(data.test.pixels[static_cast<std::size_t>((y * 32 + x) * 3 + channel)], 100 + channel + 2 * y + x);
      }
    }
  }
}

TEST_F(Cifar, TheVariantChoosesWhichLabelOfCifar100Counts) {
  std::string train;
  for (int i = 0; i < 200; ++i) {
    train += record(label(i % 20) + label(i % 100), 0);
  }
  write_file(directory_.file("train.bin"), train);
  write_file(directory_.file("test.bin"), record(label(3) + label(71), 0));
  config_["variant"] = "cifar100_fine";
  config_["search"] = 100;
  const TaskData fine = load_task_data(config_);
  EXPECT_EQ(fine.train.classes, 100);
  EXPECT_EQ(fine.test.labels.front(), 71);
  config_["variant"] = "cifar100_coarse";
  const TaskData coarse = load_task_data(config_);
  EXPECT_EQ(coarse.train.classes, 20);
  EXPECT_EQ(coarse.test.labels.front(), 3);
  config_["variant"] = "cifar100";
  EXPECT_THAT(loading_error(config_),
              HasSubstr("/variant: \"cifar100\" is not known; known: cifar10, cifar100_coarse"));
}

TEST_F(Cifar, BadFilesAreNamed) {
  const std::string last = directory_.file("data_batch_5.bin");
  const std::string sound = testing::read_file(last);
  write_file(last, sound.substr(0, 3 * 3073));
  EXPECT_THAT(loading_error(config_), HasSubstr(last + ": holds 3 records, expected 4 as in the first batch"));
  write_file(last, "");
  EXPECT_THAT(loading_error(config_), HasSubstr("holds 0 bytes, expected a multiple of 3073"));
  write_file(last, record(label(10), 0) + sound.substr(3073));
  EXPECT_THAT(loading_error(config_), HasSubstr("label 10 of record 0 is out of range, expected 0 to 9 (cifar10)"));
  for (const std::size_t size : {1U, 2U, 3072U, 3074U, 9219U}) {
    write_file(last, sound.substr(0, size));
    EXPECT_NE(loading_error(config_), "accepted") << size;
  }
  std::filesystem::remove(last);
  EXPECT_THAT(loading_error(config_), HasSubstr(last + ": cannot be read"));
  config_["directory"] = "/nonexistent/cifar";
  EXPECT_EQ(loading_error(config_), "/directory: \"/nonexistent/cifar\" is no directory");
}

}  // namespace
}  // namespace cosearch
