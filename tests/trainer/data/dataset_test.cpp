#include "trainer/data/dataset.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "spaces/base/config_error.hpp"
#include "tests/trainer/data/idx_files.hpp"
#include "tests/trainer/temporary_directory.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;
using testing::write_file;

const TaskData& fashion_mnist() {
  static const TaskData data = load_task_data({{"name", "fashion_mnist"}});
  return data;
}

std::vector<std::int64_t> class_counts(const Dataset& split) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(split.classes));
  for (const std::uint8_t label : split.labels) {
    ++counts[label];
  }
  return counts;
}

TEST(FashionMnist, HasItsPublishedSplits) {
  const TaskData& data = fashion_mnist();
  EXPECT_EQ(data.name, "fashion_mnist");
  EXPECT_EQ(data.train.size(), 55'000);
  EXPECT_EQ(data.search.size(), 5'000);
  EXPECT_EQ(data.test.size(), 10'000);
  for (const Dataset* split : {&data.train, &data.search, &data.test}) {
    EXPECT_EQ(split->sample, (graph::Shape{28, 28, 1}));
    EXPECT_EQ(split->classes, 10);
    EXPECT_EQ(static_cast<std::int64_t>(split->pixels.size()), split->size() * 28 * 28);
  }
}

// Published: 6,000 training and 1,000 test images per class (Xiao et al., arXiv:1708.07747, section 2).
TEST(FashionMnist, HasItsPublishedClassBalance) {
  const TaskData& data = fashion_mnist();
  const std::vector<std::int64_t> train = class_counts(data.train);
  const std::vector<std::int64_t> search = class_counts(data.search);
  for (std::size_t label = 0; label < 10; ++label) {
    EXPECT_EQ(train[label] + search[label], 6'000);
  }
  EXPECT_EQ(class_counts(data.test), std::vector<std::int64_t>(10, 1'000));
}

// Published: the first training and test images are ankle boots (class 9); mean 0.2860 and deviation 0.3530 are the
// figures by which the 60,000 training images are commonly normalised.
TEST(FashionMnist, HasItsPublishedFirstLabelsAndMoments) {
  const TaskData& data = fashion_mnist();
  EXPECT_EQ(data.train.labels.front(), 9);
  EXPECT_EQ(data.test.labels.front(), 9);
  EXPECT_NEAR(data.mean, 0.2860, 0.002);
  EXPECT_NEAR(data.std_dev, 0.3530, 0.002);
}

TEST(FashionMnist, ReadsPlainFilesToo) {
  const TemporaryDirectory directory;
  const TaskData& packed = fashion_mnist();
  const auto joined = [](const auto& first, const auto& second) {
    return std::string(first.begin(), first.end()).append(second.begin(), second.end());
  };
  using testing::big_endian;
  const std::string sides = big_endian(28) + big_endian(28);
  write_file(directory.file("train-images-idx3-ubyte"),
             big_endian(2051) + big_endian(60'000) + sides + joined(packed.train.pixels, packed.search.pixels));
  write_file(directory.file("train-labels-idx1-ubyte"),
             big_endian(2049) + big_endian(60'000) + joined(packed.train.labels, packed.search.labels));
  write_file(directory.file("t10k-images-idx3-ubyte"),
             big_endian(2051) + big_endian(10'000) + sides + joined(packed.test.pixels, std::string()));
  write_file(directory.file("t10k-labels-idx1-ubyte"),
             big_endian(2049) + big_endian(10'000) + joined(packed.test.labels, std::string()));
  const TaskData plain = load_task_data({{"name", "fashion_mnist"}, {"directory", directory.path()}});
  EXPECT_EQ(plain.content_hash, packed.content_hash);
}

TEST(FashionMnist, WrongCountsAndMissingFilesAreErrors) {
  const TemporaryDirectory directory;
  const json config{{"name", "fashion_mnist"}, {"directory", directory.path()}};
  const auto message = [&]() -> std::string {
    try {
      static_cast<void>(load_task_data(config));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(message(), HasSubstr("has neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte"));
  write_file(directory.file("train-images-idx3-ubyte.gz"), testing::gzip(testing::idx_images(3, 28, 28)));
  EXPECT_THAT(message(), HasSubstr("has neither train-labels-idx1-ubyte.gz"));
  write_file(directory.file("train-labels-idx1-ubyte"), testing::idx_labels({1, 2, 3}));
  EXPECT_THAT(message(), HasSubstr("holds 3 images of 28 x 28, expected 60000 of 28 x 28"));
  write_file(directory.file("train-images-idx3-ubyte.gz"), testing::gzip(testing::idx_images(60'000, 28, 28)));
  EXPECT_THAT(message(), HasSubstr("holds 3 labels, expected 60000, one per image"));
}

TEST(Synthetic, HasTheSplitsAskedForWithLabelsInTurn) {
  const TaskData data = load_task_data({{"name", "synthetic"},
                                        {"height", 6},
                                        {"width", 5},
                                        {"channels", 3},
                                        {"classes", 7},
                                        {"train", 70},
                                        {"search", 14},
                                        {"test", 21},
                                        {"seed", 3}});
  EXPECT_EQ(data.train.sample, (graph::Shape{6, 5, 3}));
  EXPECT_EQ(data.train.pixels.size(), 70U * 90U);
  EXPECT_EQ(class_counts(data.train), std::vector<std::int64_t>(7, 10));
  EXPECT_EQ(class_counts(data.search), std::vector<std::int64_t>(7, 2));
  EXPECT_EQ(class_counts(data.test), std::vector<std::int64_t>(7, 3));
}

TEST(Synthetic, IsAFunctionOfItsSeed) {
  const TaskData a = load_task_data({{"name", "synthetic"}, {"seed", 1}});
  const TaskData b = load_task_data({{"name", "synthetic"}, {"seed", 1}});
  const TaskData c = load_task_data({{"name", "synthetic"}, {"seed", 2}});
  EXPECT_EQ(a.train.pixels, b.train.pixels);
  EXPECT_EQ(a.content_hash, b.content_hash);
  EXPECT_NE(a.content_hash, c.content_hash);
  EXPECT_NE(a.train.pixels, a.test.pixels);
}

TEST(Synthetic, IsLearnableButNotTrivial) {
  const TaskData data = load_task_data({{"name", "synthetic"}});
  const std::size_t elements = 64;
  std::vector<std::vector<double>> means(4, std::vector<double>(elements, 0.0));
  for (std::size_t i = 0; i < data.train.labels.size(); ++i) {
    for (std::size_t j = 0; j < elements; ++j) {
      means[data.train.labels[i]][j] += data.train.pixels[i * elements + j] / 64.0;
    }
  }
  int right = 0;
  int exact = 0;
  for (std::size_t i = 0; i < data.search.labels.size(); ++i) {
    std::vector<double> distances;
    for (const auto& mean : means) {
      double distance = 0.0;
      for (std::size_t j = 0; j < elements; ++j) {
        distance += std::pow(mean[j] - data.search.pixels[i * elements + j], 2);
      }
      distances.push_back(distance);
    }
    const auto nearest = std::min_element(distances.begin(), distances.end());
    right += nearest - distances.begin() == data.search.labels[i] ? 1 : 0;
    exact += *nearest < 1.0 ? 1 : 0;
  }
  EXPECT_GE(right, 62);  // of 64
  EXPECT_EQ(exact, 0);
}

TEST(Dataset, MeasureMatchesTwoPassMomentsAndHashesEveryByte) {
  TaskData data = load_task_data({{"name", "synthetic"}, {"train", 40}});
  double mean = 0.0;
  for (const std::uint8_t pixel : data.train.pixels) {
    mean += pixel / 255.0 / static_cast<double>(data.train.pixels.size());
  }
  double variance = 0.0;
  for (const std::uint8_t pixel : data.train.pixels) {
    variance += std::pow(pixel / 255.0 - mean, 2) / static_cast<double>(data.train.pixels.size());
  }
  EXPECT_NEAR(data.mean, mean, 1e-12);
  EXPECT_NEAR(data.std_dev, std::sqrt(variance), 1e-12);

  const std::uint64_t before = data.content_hash;
  for (std::uint8_t* byte : {&data.train.pixels[17], &data.search.labels[5], &data.test.pixels.back()}) {
    *byte = static_cast<std::uint8_t>(*byte ^ 1U);
    measure(data);
    EXPECT_NE(data.content_hash, before);
    *byte = static_cast<std::uint8_t>(*byte ^ 1U);
  }
  measure(data);
  EXPECT_EQ(data.content_hash, before);
}

TEST(Dataset, ConstantImagesKeepAFiniteNormalisation) {
  TaskData data = load_task_data({{"name", "synthetic"}});
  std::fill(data.train.pixels.begin(), data.train.pixels.end(), std::uint8_t{51});
  measure(data);
  EXPECT_DOUBLE_EQ(data.mean, 0.2);
  EXPECT_DOUBLE_EQ(data.std_dev, 1.0);
}

/// The keys that a data set cannot do without, and none more.
json smallest_config(const std::string& name) {
  const json folder{{"directory", "/d"}, {"classes", 3}};
  const json image{{"height", 4}, {"width", 5}};
  json config{{"name", name}};
  if (name == "cifar") {
    config["directory"] = "/d";
  } else if (name == "idx") {
    config.update(image);
    config.update({{"images", "/a"}, {"labels", "/b"}, {"test_images", "/c"}, {"test_labels", "/d"}, {"classes", 3}});
  } else if (name == "image_folder") {
    config.update(image);
    config.update(folder);
  } else if (name == "npz") {
    config.update(image);
    config.update({{"path", "/p"}, {"classes", 3}});
  } else if (name == "wav_folder") {
    config.update(folder);
  }
  return config;
}

TEST(DatasetRegistry, IsSortedAndEveryEntryChecksItsKeysWithoutFiles) {
  const auto entries = dataset_registry();
  EXPECT_TRUE(std::is_sorted(entries.begin(), entries.end(),
                             [](const DatasetEntry& a, const DatasetEntry& b) { return a.name < b.name; }));
  for (const DatasetEntry& entry : entries) {
    EXPECT_FALSE(entry.summary.empty());
    json config = smallest_config(std::string(entry.name));
    const TaskShape shape = task_shape_of(config);
    EXPECT_EQ(shape.sample.size(), 3U) << entry.name;
    EXPECT_GE(shape.classes, 2) << entry.name;
    config["no_such_key"] = 1;
    EXPECT_THROW(static_cast<void>(task_shape_of(config)), ConfigError) << entry.name;
  }
}

TEST(DatasetRegistry, BadConfigsNameTheKeyAndWhatIsAllowed) {
  struct Case {
    json config;
    std::string place;
    std::string message;
  };
  const std::vector<Case> cases{
      {json::array(), "", "expected an object, read []"},
      {json::object(), "/name", "is missing; expected a string"},
      {{{"name", 3}}, "/name", "expected a string, read 3"},
      {{{"name", "fashion_mnits"}},
       "/name",
       "known: cells, cifar, fashion_mnist, idx, image_folder, npz, shapes, synthetic, wav_folder; did you mean "
       "\"fashion_mnist\"?"},
      {{{"name", "fashion_mnist"}, {"directroy", "/x"}}, "/directroy", "did you mean \"directory\"?"},
      {{{"name", "fashion_mnist"}, {"directory", 1}}, "/directory", "expected a string, read 1"},
      {{{"name", "fashion_mnist"}, {"directory", ""}}, "/directory", "the four IDX files"},
      {{{"name", "synthetic"}, {"clases", 3}}, "/clases", "did you mean \"classes\"?"},
      {{{"name", "synthetic"}, {"classes", 1}}, "/classes", "expected an integer from 2 to 256, read 1"},
      {{{"name", "synthetic"}, {"classes", 2.5}}, "/classes", "expected an integer from 2 to 256, read 2.5"},
      {{{"name", "synthetic"}, {"train", "many"}}, "/train", "expected an integer from 1 to 1000000, read \"many\""},
      {{{"name", "synthetic"}, {"seed", -1}}, "/seed", "read -1"},
      {{{"name", "synthetic"}, {"seed", 18446744073709551615ULL}}, "/seed", "read 18446744073709551615"},
      {{{"name", "synthetic"}, {"height", 512}, {"width", 512}, {"train", 1'000'000}}, "", "expected at most"},
  };
  for (const Case& bad : cases) {
    try {
      static_cast<void>(task_shape_of(bad.config));
      ADD_FAILURE() << bad.config << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place(), bad.place) << bad.config;
      EXPECT_THAT(error.message(), HasSubstr(bad.message)) << bad.config;
    }
    EXPECT_THROW(static_cast<void>(load_task_data(bad.config)), ConfigError) << bad.config;
  }
}

TEST(DatasetRegistry, MissingDirectoryNamesThePackage) {
  try {
    static_cast<void>(load_task_data({{"name", "fashion_mnist"}, {"directory", "/nonexistent/fashion"}}));
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.place(), "/directory");
    EXPECT_THAT(error.message(), HasSubstr("\"/nonexistent/fashion\" is no directory"));
    EXPECT_THAT(error.message(), HasSubstr("dataset-fashion-mnist"));
  }
}

}  // namespace
}  // namespace cosearch
