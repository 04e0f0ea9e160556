#include "trainer/data/class_folders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "trainer/data/splits.hpp"

namespace cosearch {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kHundred = 100;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

/// Names in a folder for which `wanted` holds, sorted: the order of a directory differs between file systems.
template <class Wanted>
std::vector<std::string> sorted_names(const fs::path& folder, const Wanted& wanted) {
  std::error_code code;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, code); !code && entry != fs::directory_iterator(); entry.increment(code)) {
    if (wanted(*entry)) {
      names.push_back(entry->path().filename().string());
    }
  }
  if (code) {
    throw ConfigError("", fmt::format("cannot be read: {}", code.message()), folder.string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> class_folders_of(const fs::path& root) {
  return sorted_names(root, [](const fs::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    return is_folder(entry.path()) && name.front() != '.' && name.front() != '_';
  });
}

std::vector<std::string> class_names_of(const ClassFoldersOptions& options, const fs::path& root) {
  std::vector<std::string> found = class_folders_of(root);
  for (const std::string& name : options.class_names) {
    if (!std::binary_search(found.begin(), found.end(), name)) {
      throw ConfigError("/classes", fmt::format("class folder {}", unknown_name(name, found)), root.string());
    }
  }
  if (!options.class_names.empty()) {
    return options.class_names;
  }
  if (std::ssize(found) != options.classes) {
    constexpr std::ptrdiff_t kMostShown = 5;
    const auto end = found.begin() + std::min(kMostShown, std::ssize(found));
    throw ConfigError(
        "/classes",
        fmt::format("holds {} class folders ({}{}), expected {}", found.size(), fmt::join(found.begin(), end, ", "),
                    end == found.end() ? "" : ", ...", options.classes),
        root.string());
  }
  return found;
}

bool has_extension(const fs::path& path, const std::string& extension) {
  const std::string own = path.extension().string();
  return std::equal(own.begin(), own.end(), extension.begin(), extension.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == static_cast<unsigned char>(b);
  });
}

struct File {
  std::string path;
  std::string group;  ///< what decides the split
  std::uint8_t label;
};

std::vector<File> list_files(const fs::path& root, const std::vector<std::string>& classes,
                             const std::string& extension) {
  std::vector<File> files;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const fs::path folder = root / classes[label];
    const std::vector<std::string> names =
        sorted_names(folder, [&](const fs::directory_entry& entry) { return has_extension(entry.path(), extension); });
    if (names.empty()) {
      throw ConfigError("", fmt::format("holds no file *{}, expected at least 1", extension), folder.string());
    }
    for (const std::string& name : names) {
      const std::size_t speaker = name.find("_nohash_");
      std::string group = speaker == std::string::npos ? classes[label] + "/" + name : name.substr(0, speaker);
      files.push_back({(folder / name).string(), std::move(group), static_cast<std::uint8_t>(label)});
    }
  }
  return files;
}

void add(LabelledFiles& files, const File& file) {
  files.paths.push_back(file.path);
  files.labels.push_back(file.label);
}

void read_classes(const JsonReader& reader, ClassFoldersOptions& options) {
  const std::string allowed = "the number of class folders (2 to 256) or an array of their names";
  const JsonReader classes = reader.required("classes", allowed);
  if (classes.value().is_number()) {
    options.classes = classes.integer(2, kMostClasses);
    return;
  }
  for (const JsonReader& item : classes.items(allowed)) {
    const std::string name = item.text();
    const bool again =
        std::find(options.class_names.begin(), options.class_names.end(), name) != options.class_names.end();
    if (name.empty() || again) {
      item.refuse(again ? "a name that is not there already" : "the name of a class folder");
    }
    options.class_names.push_back(name);
  }
  options.classes = static_cast<std::int64_t>(options.class_names.size());
  if (options.classes < 2 || options.classes > kMostClasses) {
    classes.refuse(fmt::format("2 to {} names", kMostClasses));
  }
}

}  // namespace

ClassFoldersOptions class_folders_options(const JsonReader& reader) {
  ClassFoldersOptions options;
  options.directory = path_option(reader, "directory", "the directory of the class folders");
  read_classes(reader, options);
  options.search_percent = reader.integer("search_percent", options.search_percent, 1, kHundred / 2);
  options.test_percent = reader.integer("test_percent", options.test_percent, 1, kHundred / 2 - 1);
  return options;
}

ClassFolders list_class_folders(const ClassFoldersOptions& options, const std::string& extension) {
  const fs::path directory = options.directory;
  if (!is_folder(directory)) {
    throw ConfigError("/directory", fmt::format("\"{}\" is no directory", options.directory));
  }
  const bool has_train = is_folder(directory / "train");
  const bool has_test = has_train && is_folder(directory / "test");
  const fs::path root = has_train ? directory / "train" : directory;
  ClassFolders folders;
  folders.class_names = class_names_of(options, root);
  for (const File& file : list_files(root, folders.class_names, extension)) {
    const auto place = static_cast<std::int64_t>(Hasher{}.add(file.group).value() % kHundred);
    const std::int64_t tested = has_test ? 0 : options.test_percent;
    add(place < tested ? folders.test : place < tested + options.search_percent ? folders.search : folders.train, file);
  }
  if (has_test) {
    if (options.class_names.empty() && class_folders_of(directory / "test") != folders.class_names) {
      throw ConfigError("", fmt::format("has other class folders than \"{}\"", root.string()),
                        (directory / "test").string());
    }
    for (const File& file : list_files(directory / "test", folders.class_names, extension)) {
      add(folders.test, file);
    }
  }
  return folders;
}

}  // namespace cosearch
