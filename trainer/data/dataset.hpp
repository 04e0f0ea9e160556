#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/graph/graph.hpp"
#include "spaces/space/search_space.hpp"

/// Labelled samples. The only place of the trainer that reads data sets from disk.
namespace cosearch {

/// Samples as bytes, NHWC, with integer labels; the trainer normalises by `mean` and `std_dev` of the pixel / 255.
struct Dataset {
  graph::Shape sample;  ///< (height, width, channels)
  std::int64_t classes = 0;
  std::vector<std::uint8_t> pixels;  ///< size() * elements(sample)
  std::vector<std::uint8_t> labels;

  [[nodiscard]] std::int64_t size() const noexcept { return static_cast<std::int64_t>(labels.size()); }
};

/// The three splits of a task. `search` scores candidates; `test` is touched once, at the end.
struct TaskData {
  std::string name;
  Dataset train;
  Dataset search;
  Dataset test;
  double mean = 0.0;               ///< of train's pixels / 255
  double std_dev = 1.0;            ///< of train's pixels / 255
  std::uint64_t content_hash = 0;  ///< over all bytes of all splits
};

/// Reads a data set named in a config: {"name": "fashion_mnist", ...}, the other keys being the data set's own.
/// @throws ConfigError: unknown name or key (place: a JSON pointer relative to `config`), missing, truncated or
/// mislabelled file (with its path and the bytes expected).
[[nodiscard]] TaskData load_task_data(const nlohmann::json& config);
/// The shape of the task that `load_task_data` would read, without touching a file. @throws ConfigError: names, keys,
/// types and ranges.
[[nodiscard]] TaskShape task_shape_of(const nlohmann::json& config);

/// {"name": "fashion_mnist", "directory": "..."}: Fashion-MNIST (Xiao et al., arXiv:1708.07747), 55,000 training
/// images, the last 5,000 of the training file held out for the search, 10,000 test images; 28 x 28 x 1, 10 classes.
/// Reads the four IDX files, gzip-compressed (`.gz`) or plain; the default directory is that of Debian's package
/// dataset-fashion-mnist.
[[nodiscard]] TaskData load_fashion_mnist(const nlohmann::json& config);
[[nodiscard]] TaskShape fashion_mnist_shape(const nlohmann::json& config);

/// A small deterministic data set for tests and self-checks that needs no file: noisy class prototypes, smooth on a
/// coarse grid, with labels in turn. {"name": "synthetic", "height": 8, "width": 8, "channels": 1, "classes": 4,
/// "train": 256, "search": 64, "test": 64, "seed": 0}; every key but the name may be left out (defaults as shown).
[[nodiscard]] TaskData make_synthetic_data(const nlohmann::json& config);
[[nodiscard]] TaskShape synthetic_shape(const nlohmann::json& config);

/// Sets `mean`, `std_dev` and `content_hash` from the splits' bytes.
void measure(TaskData& data);

struct DatasetEntry {
  std::string_view name;
  std::string_view summary;
  TaskShape (*shape)(const nlohmann::json& config);  ///< touches no file
  TaskData (*load)(const nlohmann::json& config);
};
/// Sorted by name.
[[nodiscard]] std::span<const DatasetEntry> dataset_registry();

}  // namespace cosearch
