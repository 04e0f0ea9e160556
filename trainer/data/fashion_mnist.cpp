#include <fmt/format.h>

#include <array>
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

// Of each class: tops, trousers, dresses, shoes or bags.
constexpr std::array<std::uint8_t, kClasses> kGroups{0, 1, 0, 2, 0, 3, 0, 3, 4, 3};
constexpr std::array<const char*, 5> kGroupNames{"tops", "trousers", "dresses", "shoes", "bags"};

struct Options {
  std::string directory;
  bool groups = false;
};

Options read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"directory", "labels", "name"});
  Options options{reader.text("directory", kDebianDirectory),
                  reader.name_of("labels", "class", {"class", "group"}) == "group"};
  if (options.directory.empty()) {
    reader.at("directory").refuse("the directory of the four IDX files");
  }
  return options;
}

void label_groups(Dataset& split) {
  split.classes = static_cast<std::int64_t>(kGroupNames.size());
  for (std::uint8_t& label : split.labels) {
    label = kGroups.at(label);
  }
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
  const bool groups = read_options(config).groups;
  return {{kSide, kSide, 1}, groups ? static_cast<std::int64_t>(kGroupNames.size()) : kClasses};
}

TaskData load_fashion_mnist(const nlohmann::json& config) {
  const auto [directory, groups] = read_options(config);
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
  if (groups) {
    data.class_names.assign(kGroupNames.begin(), kGroupNames.end());
    for (Dataset* split : {&data.train, &data.search, &data.test}) {
      label_groups(*split);
    }
  }
  measure(data);
  return data;
}

}  // namespace cosearch
