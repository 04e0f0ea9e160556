#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/data/class_folders.hpp"
#include "trainer/data/png.hpp"
#include "trainer/data/splits.hpp"

namespace cosearch {
namespace {

struct ImageFolderOptions {
  ClassFoldersOptions folders;
  graph::Shape sample;
};

ImageFolderOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"channels", "classes", "directory", "height", "name", "search_percent", "test_percent", "width"});
  ImageFolderOptions options{class_folders_options(reader), shape_options(reader, 3)};
  if (options.sample[2] == 2) {
    reader.at("channels").refuse("1 (grey) or 3 (RGB)");
  }
  return options;
}

Dataset read_pictures(const ImageFolderOptions& options, const LabelledFiles& files) {
  Dataset split = make_split(options.sample, options.folders.classes, files.labels);
  const auto elements = static_cast<std::size_t>(graph::elements(options.sample));
  for_each_sample(split.size(), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    resize(read_png(files.paths[at], options.sample[2]), options.sample[0], options.sample[1],
           std::span(split.pixels).subspan(at * elements, elements));
  });
  return split;
}

}  // namespace

TaskShape image_folder_shape(const nlohmann::json& config) {
  const ImageFolderOptions options = read_options(config);
  return {options.sample, options.folders.classes};
}

TaskData load_image_folder(const nlohmann::json& config) {
  const ImageFolderOptions options = read_options(config);
  const ClassFolders folders = list_class_folders(options.folders, ".png");
  return assemble("image_folder", options.folders.directory, read_pictures(options, folders.train),
                  read_pictures(options, folders.search), read_pictures(options, folders.test), folders.class_names);
}

}  // namespace cosearch
