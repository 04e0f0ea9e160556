#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/data/idx.hpp"
#include "trainer/data/splits.hpp"

namespace cosearch {
namespace {

struct IdxOptions {
  std::string images, labels, test_images, test_labels;
  graph::Shape sample;
  std::int64_t classes;
  std::optional<std::int64_t> search;
};

IdxOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"classes", "height", "images", "labels", "name", "search", "test_images", "test_labels", "width"});
  return {
      .images = path_option(reader, "images", "the IDX file of the training images"),
      .labels = path_option(reader, "labels", "the IDX file of the training labels"),
      .test_images = path_option(reader, "test_images", "the IDX file of the test images"),
      .test_labels = path_option(reader, "test_labels", "the IDX file of the test labels"),
      .sample = shape_options(reader, 1),
      .classes = reader.at("classes").integer(2, kMostClasses),
      .search = search_option(reader),
  };
}

Dataset read_pair(const IdxOptions& options, const std::string& images_path, const std::string& labels_path) {
  IdxImages images = read_idx_images(images_path);
  if (images.height != options.sample[0] || images.width != options.sample[1]) {
    throw ConfigError("",
                      fmt::format("holds images of {} x {}, the config says {} x {}", images.height, images.width,
                                  options.sample[0], options.sample[1]),
                      images_path);
  }
  std::vector<std::uint8_t> labels = read_idx_labels(labels_path, options.classes);
  if (static_cast<std::int64_t>(labels.size()) != images.count) {
    throw ConfigError("", fmt::format("holds {} labels, expected {}, one per image", labels.size(), images.count),
                      labels_path);
  }
  return {options.sample, options.classes, std::move(images.pixels), std::move(labels)};
}

}  // namespace

TaskShape idx_shape(const nlohmann::json& config) {
  const IdxOptions options = read_options(config);
  return {options.sample, options.classes};
}

TaskData load_idx(const nlohmann::json& config) {
  const IdxOptions options = read_options(config);
  Dataset train = read_pair(options, options.images, options.labels);
  Dataset search = hold_out(train, options.search);
  Dataset test = read_pair(options, options.test_images, options.test_labels);
  return assemble("idx", options.labels, std::move(train), std::move(search), std::move(test));
}

}  // namespace cosearch
