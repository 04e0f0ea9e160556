#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/data/file_bytes.hpp"
#include "trainer/data/splits.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kChannels = 3;
constexpr std::int64_t kPixelBytes = kSide * kSide * kChannels;
constexpr std::int64_t kLargestFile = std::int64_t{1} << 31U;

/// One of the published forms: a record is `label_bytes` labels and an image by channels; byte `label` counts.
struct Variant {
  std::string_view name;
  std::int64_t classes;
  std::int64_t label_bytes;
  std::int64_t label;
  std::array<std::string_view, 5> train_files;  // unused ones are empty
  std::string_view test_file;
};

constexpr std::array<std::string_view, 5> kBatches{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                                   "data_batch_4.bin", "data_batch_5.bin"};
constexpr std::array kVariants{
    Variant{"cifar10", 10, 1, 0, kBatches, "test_batch.bin"},
    Variant{"cifar100_coarse", 20, 2, 0, {"train.bin"}, "test.bin"},
    Variant{"cifar100_fine", 100, 2, 1, {"train.bin"}, "test.bin"},
};

struct CifarOptions {
  std::string directory;
  Variant variant;
  std::optional<std::int64_t> search;
};

CifarOptions read_options(const nlohmann::json& config) {
  const JsonReader reader(config);
  reader.only({"directory", "name", "search", "variant"});
  std::vector<std::string> names;
  for (const Variant& variant : kVariants) {
    names.emplace_back(variant.name);
  }
  const std::string name = reader.name_of("variant", names.front(), names);
  const auto at = std::find(names.begin(), names.end(), name) - names.begin();
  return {.directory = path_option(reader, "directory", "the directory of the binary files"),
          .variant = kVariants[static_cast<std::size_t>(at)],
          .search = search_option(reader)};
}

/// Appends the records of a file and returns how many they are.
std::int64_t append_records(const Variant& variant, const std::string& path, Dataset& to) {
  const std::vector<std::uint8_t> bytes = read_file_bytes(path, kLargestFile);
  const std::int64_t record = variant.label_bytes + kPixelBytes;
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (size == 0 || size % record != 0) {
    throw ConfigError("",
                      fmt::format("holds {} bytes, expected a multiple of {} ({} of labels, {} of a 32 x 32 x 3 image)",
                                  size, record, variant.label_bytes, kPixelBytes),
                      path);
  }
  const std::int64_t count = size / record;
  const std::size_t before = to.pixels.size();
  to.pixels.resize(before + static_cast<std::size_t>(count * kPixelBytes));
  for (std::int64_t i = 0; i < count; ++i) {
    const auto sample =
        std::span(bytes).subspan(static_cast<std::size_t>(i * record), static_cast<std::size_t>(record));
    const std::uint8_t label = sample[static_cast<std::size_t>(variant.label)];
    if (label >= variant.classes) {
      throw ConfigError("",
                        fmt::format("label {} of record {} is out of range, expected 0 to {} ({})", label, i,
                                    variant.classes - 1, variant.name),
                        path);
    }
    to.labels.push_back(label);
    channels_last(sample.subspan(static_cast<std::size_t>(variant.label_bytes)), kChannels,
                  std::span(to.pixels).subspan(before + static_cast<std::size_t>(i * kPixelBytes), kPixelBytes));
  }
  return count;
}

Dataset read_train(const CifarOptions& options) {
  Dataset train{{kSide, kSide, kChannels}, options.variant.classes, {}, {}};
  std::int64_t first = 0;
  for (const std::string_view file : options.variant.train_files) {
    if (file.empty()) {
      break;
    }
    const std::string path = (std::filesystem::path(options.directory) / file).string();
    const std::int64_t count = append_records(options.variant, path, train);
    first = first == 0 ? count : first;
    // A file cut off between two records looks sound by itself.
    if (count != first) {
      throw ConfigError("", fmt::format("holds {} records, expected {} as in the first batch", count, first), path);
    }
  }
  return train;
}

}  // namespace

TaskShape cifar_shape(const nlohmann::json& config) {
  return {{kSide, kSide, kChannels}, read_options(config).variant.classes};
}

TaskData load_cifar(const nlohmann::json& config) {
  const CifarOptions options = read_options(config);
  std::error_code ignored;
  if (!std::filesystem::is_directory(options.directory, ignored)) {
    throw ConfigError("/directory", fmt::format("\"{}\" is no directory", options.directory));
  }
  Dataset train = read_train(options);
  Dataset search = hold_out(train, options.search);
  Dataset test{train.sample, train.classes, {}, {}};
  append_records(options.variant, (std::filesystem::path(options.directory) / options.variant.test_file).string(),
                 test);
  return assemble("cifar", options.directory, std::move(train), std::move(search), std::move(test));
}

}  // namespace cosearch
