#include "trainer/data/class_folders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/trainer/data/file_damage.hpp"
#include "tests/trainer/data/png_files.hpp"
#include "tests/trainer/data/wav_files.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::loading_error;
using testing::write_file;

class Folders : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& bytes) {
    fs::create_directories(fs::path(directory_.file(name)).parent_path());
    write_file(directory_.file(name), bytes);
  }
  /// 60 pictures of each class, of two sizes; each class has its colour.
  void write_pictures(const std::string& root) {
    for (int i = 0; i < 60; ++i) {
      const std::uint32_t side = i % 2 == 0 ? 4 : 6;
      const std::size_t size = std::size_t{side} * side * 3;
      write(root + "cat/" + std::to_string(i) + ".png", testing::png(side, side, std::vector<std::uint8_t>(size, 40)));
      write(root + "dog/" + std::to_string(i) + ".PNG", testing::png(side, side, std::vector<std::uint8_t>(size, 90)));
    }
  }
  [[nodiscard]] json pictures(json classes) const {
    return {{"name", "image_folder"},
            {"directory", directory_.path()},
            {"classes", std::move(classes)},
            {"height", 4},
            {"width", 5},
            {"channels", 3}};
  }
  testing::TemporaryDirectory directory_;
};

TEST_F(Folders, PicturesAreResizedAndSplitByName) {
  write_pictures("");
  write("_ignored/a.png", "nothing");
  write("cat/notes.txt", "nothing");
  const TaskData data = load_task_data(pictures(2));
  EXPECT_THAT(data.class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(data.train.size() + data.search.size() + data.test.size(), 120);
  EXPECT_GT(data.search.size(), 3);
  EXPECT_GT(data.test.size(), 3);
  for (const Dataset* split : {&data.train, &data.search, &data.test}) {
    ASSERT_EQ(split->pixels.size(), split->labels.size() * 60);
    for (std::size_t i = 0; i < split->pixels.size(); ++i) {
      ASSERT_EQ(split->pixels[i], split->labels[i / 60] == 0 ? 40 : 90);
    }
  }
  const TaskData turned = load_task_data(pictures({"dog", "cat"}));
  EXPECT_THAT(turned.class_names, ElementsAre("dog", "cat"));
  EXPECT_NE(turned.content_hash, data.content_hash);
  EXPECT_EQ(load_task_data(pictures(2)).content_hash, data.content_hash);
}

TEST_F(Folders, ATestFolderIsTheTestSplit) {
  write_pictures("train/");
  write("test/cat/a.png", testing::png(4, 5, std::vector<std::uint8_t>(60, 7)));
  EXPECT_THAT(loading_error(pictures(2)), HasSubstr("test: has other class folders than"));
  write("test/dog/a.png", testing::png(4, 5, std::vector<std::uint8_t>(60, 8)));
  const TaskData data = load_task_data(pictures(2));
  EXPECT_EQ(data.train.size() + data.search.size(), 120);
  EXPECT_THAT(data.test.labels, ElementsAre(0, 1));
  EXPECT_EQ(data.test.pixels.back(), 8);
}

TEST_F(Folders, AddingFilesMovesNoOther) {
  const auto places = [&] {
    const ClassFolders folders = list_class_folders({directory_.path(), 2, {}, 20, 20}, ".png");
    std::map<std::string, int> found;
    const std::vector<const LabelledFiles*> splits{&folders.train, &folders.search, &folders.test};
    for (int split = 0; split < 3; ++split) {
      for (const std::string& path : splits[static_cast<std::size_t>(split)]->paths) {
        found[path] = split;
      }
    }
    return found;
  };
  write_pictures("");
  const auto before = places();
  for (int i = 60; i < 90; ++i) {
    write("cat/" + std::to_string(i) + ".png", "");
  }
  const auto after = places();
  EXPECT_EQ(before.size(), 120U);
  EXPECT_EQ(after.size(), 150U);
  for (const auto& [path, split] : before) {
    EXPECT_EQ(after.at(path), split) << path;
  }
}

TEST_F(Folders, OneSpeakerStaysInOneSplit) {
  for (int speaker = 0; speaker < 50; ++speaker) {
    for (const char* word : {"yes", "no"}) {
      for (const char* take : {"0", "1"}) {
        write(std::string(word) + "/s" + std::to_string(speaker) + "_nohash_" + take + ".wav", "");
      }
    }
  }
  const ClassFolders folders = list_class_folders({directory_.path(), 2, {}, 20, 20}, ".wav");
  EXPECT_FALSE(folders.search.paths.empty());
  EXPECT_FALSE(folders.test.paths.empty());
  std::set<std::string> seen;
  std::size_t speakers = 0;
  for (const LabelledFiles* split : {&folders.train, &folders.search, &folders.test}) {
    std::set<std::string> own;
    for (const std::string& path : split->paths) {
      const std::string name = fs::path(path).filename().string();
      own.insert(name.substr(0, name.find('_')));
    }
    EXPECT_EQ(split->paths.size(), own.size() * 4);
    seen.insert(own.begin(), own.end());
    speakers += own.size();
  }
  EXPECT_EQ(seen.size(), speakers);
}

TEST_F(Folders, BadFoldersAreNamed) {
  EXPECT_THAT(loading_error(pictures(2)), HasSubstr("holds 0 class folders (), expected 2"));
  write_pictures("");
  EXPECT_THAT(loading_error(pictures(3)), HasSubstr("/classes: holds 2 class folders (cat, dog), expected 3"));
  EXPECT_THAT(loading_error(pictures({"cat", "dgo"})), HasSubstr("class folder \"dgo\" is not known; known: cat, dog"));
  EXPECT_THAT(loading_error(pictures({"cat", "cat"})), HasSubstr("/classes/1: expected a name that is not there"));
  EXPECT_THAT(loading_error(pictures({"cat"})), HasSubstr("/classes: expected 2 to 256 names"));
  EXPECT_THAT(loading_error(pictures("cat")), HasSubstr("/classes: expected the number of class folders"));
  fs::create_directory(directory_.file("eel"));
  EXPECT_THAT(loading_error(pictures(3)), HasSubstr("eel: holds no file *.png, expected at least 1"));
  json config = pictures({"cat", "dog"});
  config["channels"] = 2;
  EXPECT_EQ(loading_error(config), "/channels: expected 1 (grey) or 3 (RGB), read 2");
  write("cat/00.png", "no picture");
  EXPECT_THAT(loading_error(pictures({"cat", "dog"})), HasSubstr("cat/00.png: is no PNG file or damaged"));
  config["directory"] = "/nonexistent/pictures";
  config["channels"] = 1;
  EXPECT_EQ(loading_error(config), "/directory: \"/nonexistent/pictures\" is no directory");
}

TEST_F(Folders, RecordingsBecomeStandardisedCoefficients) {
  for (int i = 0; i < 40; ++i) {
    const std::uint32_t rate = i % 2 == 0 ? 16'000 : 22'050;
    write("low/" + std::to_string(i) + ".wav", testing::wav(rate, testing::tone(200 + 3 * i, rate, rate)));
    write("high/" + std::to_string(i) + ".wav", testing::wav(rate, testing::tone(2000 + 30 * i, rate, rate / 2)));
  }
  const json config{{"name", "wav_folder"}, {"directory", directory_.path()}, {"classes", {"low", "high"}}};
  EXPECT_EQ(task_shape_of(config).sample, (graph::Shape{49, 10, 1}));
  const TaskData data = load_task_data(config);
  EXPECT_EQ(data.train.sample, (graph::Shape{49, 10, 1}));
  EXPECT_EQ(data.train.size() + data.search.size() + data.test.size(), 80);
  EXPECT_NEAR(data.mean, 128.0 / 255.0, 0.01);
  EXPECT_NEAR(data.std_dev, 32.0 / 255.0, 0.01);
  // The classes differ where they are meant to: the second coefficient tells low tones from high ones.
  std::vector<double> sums(2, 0.0);
  for (std::size_t i = 0; i < data.train.labels.size(); ++i) {
    sums[data.train.labels[i]] += data.train.pixels[i * 490 + 10 * 10 + 1] / static_cast<double>(data.train.size());
  }
  EXPECT_GT(sums[0], sums[1] + 10);
  write("low/0.wav", "RIFF");
  EXPECT_THAT(loading_error(config), HasSubstr("low/0.wav: is no WAV file"));
}

}  // namespace
}  // namespace cosearch
