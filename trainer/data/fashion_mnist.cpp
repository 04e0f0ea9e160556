#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/data/idx.hpp"

namespace cosearch {
namespace {

constexpr const char* kDebianDirectory = "/usr/share/datasets/fashion-mnist";
constexpr std::int64_t kClasses = 10;
constexpr std::int64_t kSide = 28;
constexpr std::int64_t kTrainFileImages = 60'000;
constexpr std::int64_t kTestFileImages = 10'000;
constexpr std::int64_t kHeldOutImages = 5'000;

std::string directory_of(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"directory", "name"});
  std::string directory = reader.text("directory", kDebianDirectory);
  if (directory.empty()) {
    reader.at("directory").refuse("the directory of the four IDX files");
  }
  return directory;
}

/// `directory/stem.gz`, or `directory/stem` where that is what there is.
std::string find_file(const std::string& directory, const std::string& stem) {
  const std::filesystem::path plain = std::filesystem::path(directory) / stem;
  const std::filesystem::path compressed = plain.string() + ".gz";
  std::error_code ignored;
  if (std::filesystem::exists(compressed, ignored)) {
    return compressed.string();
  }
  if (std::filesystem::exists(plain, ignored)) {
    return plain.string();
  }
  const std::string hint = directory == kDebianDirectory ? "; apt-get install dataset-fashion-mnist" : "";
  throw ConfigError("/directory", fmt::format("\"{}\" has neither {}.gz nor {}{}", directory, stem, stem, hint));
}

Dataset read_pair(const std::string& directory, const std::string& stem, std::int64_t count) {
  const std::string images_path = find_file(directory, stem + "-images-idx3-ubyte");
  const std::string labels_path = find_file(directory, stem + "-labels-idx1-ubyte");
  IdxImages images = read_idx_images(images_path);
  if (images.count != count || images.height != kSide || images.width != kSide) {
    throw ConfigError("",
                      fmt::format("holds {} images of {} x {}, expected {} of {} x {}", images.count, images.height,
                                  images.width, count, kSide, kSide),
                      images_path);
  }
  std::vector<std::uint8_t> labels = read_idx_labels(labels_path, kClasses);
  if (static_cast<std::int64_t>(labels.size()) != count) {
    throw ConfigError("", fmt::format("holds {} labels, expected {}, one per image", labels.size(), count),
                      labels_path);
  }
  return {{kSide, kSide, 1}, kClasses, std::move(images.pixels), std::move(labels)};
}

/// Moves the last `count` samples of `from` into a split of their own.
Dataset split_tail(Dataset& from, std::int64_t count) {
  const std::int64_t keep = from.size() - count;
  const std::int64_t sample = graph::elements(from.sample);
  Dataset tail{from.sample,
               from.classes,
               {from.pixels.begin() + keep * sample, from.pixels.end()},
               {from.labels.begin() + keep, from.labels.end()}};
  from.pixels.resize(static_cast<std::size_t>(keep * sample));
  from.labels.resize(static_cast<std::size_t>(keep));
  return tail;
}

}  // namespace

TaskShape fashion_mnist_shape(const nlohmann::json& config) {
  static_cast<void>(directory_of(config));
  return {{kSide, kSide, 1}, kClasses};
}

TaskData load_fashion_mnist(const nlohmann::json& config) {
  const std::string directory = directory_of(config);
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    const std::string hint =
        directory == kDebianDirectory
            ? "apt-get install dataset-fashion-mnist"
            : fmt::format("Debian's package dataset-fashion-mnist puts it in {}", kDebianDirectory);
    throw ConfigError("/directory", fmt::format("\"{}\" is no directory; {}", directory, hint));
  }
  TaskData data;
  data.name = "fashion_mnist";
  data.train = read_pair(directory, "train", kTrainFileImages);
  data.search = split_tail(data.train, kHeldOutImages);
  data.test = read_pair(directory, "t10k", kTestFileImages);
  measure(data);
  return data;
}

}  // namespace cosearch
