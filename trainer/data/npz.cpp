#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/data/file_bytes.hpp"
#include "trainer/data/npy.hpp"
#include "trainer/data/splits.hpp"
#include "trainer/data/zip.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kLargestFile = std::int64_t{1} << 35U;
constexpr std::int64_t kMostChannels = 64;

struct NpzOptions {
  std::string path;
  std::string images, labels, test_images, test_labels;  // keys of the arrays
  graph::Shape sample;
  std::int64_t classes;
  bool channels_first;
  double black, white;
  std::optional<std::int64_t> search;
};

NpzOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"black", "channels", "classes", "height", "images", "labels", "layout", "name", "path", "search",
               "test_images", "test_labels", "white", "width"});
  NpzOptions options{
      .path = path_option(reader, "path", "an NPZ file or a directory of NPY files"),
      .images = reader.text("images", "x_train"),
      .labels = reader.text("labels", "y_train"),
      .test_images = reader.text("test_images", "x_test"),
      .test_labels = reader.text("test_labels", "y_test"),
      .sample = shape_options(reader, kMostChannels),
      .classes = reader.at("classes").integer(2, kMostClasses),
      .channels_first = reader.name_of("layout", "nhwc", {"nchw", "nhwc"}) == "nchw",
      .black = reader.number("black", 0.0, Interval{}),
      .white = reader.number("white", 255.0, Interval{}),
      .search = search_option(reader),
  };
  if (options.white <= options.black) {
    reader.fail(fmt::format("\"white\" is {}, expected more than \"black\", {}", options.white, options.black));
  }
  return options;
}

/// Arrays by key: the members KEY.npy of an archive, or the files KEY.npy of a directory.
class Arrays {
 public:
  explicit Arrays(const std::string& path) : path_(path) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) {
      archive_.emplace(path);
    }
  }

  [[nodiscard]] std::string source(const std::string& key) const {
    return (std::filesystem::path(path_) / (key + ".npy")).string();
  }

  [[nodiscard]] NpyArray read(const std::string& option, const std::string& key) const {
    const std::string member = key + ".npy";
    if (!archive_) {
      return parse_npy(read_file_bytes(source(key), kLargestFile), source(key));
    }
    if (!archive_->has(member)) {
      std::vector<std::string> known;
      for (const std::string& name : archive_->names()) {
        known.push_back(name.ends_with(".npy") ? name.substr(0, name.size() - 4) : name);
      }
      throw ConfigError(pointer_to(option), fmt::format("array {}", unknown_name(key, known)), path_);
    }
    return parse_npy(archive_->read(member), source(key));
  }

 private:
  std::string path_;
  std::optional<ZipArchive> archive_;
};

std::vector<std::uint8_t> read_labels(const NpyArray& array, std::int64_t classes, const std::string& source) {
  const bool vector = array.shape.size() == 1 || (array.shape.size() == 2 && array.shape[1] == 1);
  if (!vector || array.real()) {
    throw ConfigError("",
                      fmt::format("holds {} of shape ({}), expected integer labels of shape (n) or (n, 1)",
                                  array.real() ? "real numbers" : "integers", fmt::join(array.shape, ", ")),
                      source);
  }
  std::vector<std::uint8_t> labels;
  for (std::int64_t i = 0; i < array.size(); ++i) {
    const double label = array.value(i);
    if (label < 0.0 || label >= static_cast<double>(classes)) {
      throw ConfigError(
          "", fmt::format("label {} of sample {} is out of range, expected 0 to {}", label, i, classes - 1), source);
    }
    labels.push_back(static_cast<std::uint8_t>(label));
  }
  return labels;
}

void check_shape(const NpzOptions& options, const NpyArray& array, std::int64_t count, const std::string& source) {
  const graph::Shape& s = options.sample;
  const std::vector<std::int64_t> expected = options.channels_first
                                                 ? std::vector<std::int64_t>{count, s[2], s[0], s[1]}
                                                 : std::vector<std::int64_t>{count, s[0], s[1], s[2]};
  const bool plain = s[2] == 1 && array.shape == std::vector<std::int64_t>{count, s[0], s[1]};
  if (!plain && array.shape != expected) {
    throw ConfigError("",
                      fmt::format("has shape ({}), expected ({}) by the config and the number of labels",
                                  fmt::join(array.shape, ", "), fmt::join(expected, ", ")),
                      source);
  }
}

/// Values from `black` to `white` as bytes from 0 to 255.
std::vector<std::uint8_t> to_bytes(const NpzOptions& options, const NpyArray& array, const std::string& source) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(array.size()));
  const double scale = 255.0 / (options.white - options.black);
  for (std::int64_t i = 0; i < array.size(); ++i) {
    const double value = array.value(i);
    if (!(value >= options.black && value <= options.white)) {  // also not a number
      throw ConfigError("",
                        fmt::format("element {} is {}, expected {} (\"black\") to {} (\"white\")", i, value,
                                    options.black, options.white),
                        source);
    }
    const double level = std::round((value - options.black) * scale);
    pixels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(std::min(level, 255.0));
  }
  return pixels;
}

Dataset read_split(const NpzOptions& options, const Arrays& arrays, bool test) {
  const std::string& labels_key = test ? options.test_labels : options.labels;
  const std::string& images_key = test ? options.test_images : options.images;
  Dataset split{options.sample, options.classes, {}, {}};
  split.labels =
      read_labels(arrays.read(test ? "test_labels" : "labels", labels_key), options.classes, arrays.source(labels_key));
  const NpyArray images = arrays.read(test ? "test_images" : "images", images_key);
  check_shape(options, images, split.size(), arrays.source(images_key));
  split.pixels = to_bytes(options, images, arrays.source(images_key));
  if (options.channels_first) {
    const auto elements = static_cast<std::size_t>(graph::elements(options.sample));
    std::vector<std::uint8_t> turned(split.pixels.size());
    for (std::size_t at = 0; at < turned.size(); at += elements) {
      channels_last(std::span(split.pixels).subspan(at, elements), options.sample[2],
                    std::span(turned).subspan(at, elements));
    }
    split.pixels = std::move(turned);
  }
  return split;
}

}  // namespace

TaskShape npz_shape(const nlohmann::json& config) {
  const NpzOptions options = read_options(config);
  return {options.sample, options.classes};
}

TaskData load_npz(const nlohmann::json& config) {
  const NpzOptions options = read_options(config);
  const Arrays arrays(options.path);
  Dataset train = read_split(options, arrays, false);
  Dataset search = hold_out(train, options.search);
  Dataset test = read_split(options, arrays, true);
  return assemble("npz", options.path, std::move(train), std::move(search), std::move(test));
}

}  // namespace cosearch
