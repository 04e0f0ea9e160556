#include <array>
#include <nlohmann/json.hpp>

#include "spaces/base/json_reader.hpp"
#include "spaces/base/registry.hpp"
#include "trainer/data/dataset.hpp"

namespace cosearch {
namespace {

// Sorted by name.
constexpr std::array kDatasets{
    DatasetEntry{"cells",
                 "synthetic pictures of overlapping cells made from a seed, each pixel labelled (segmentation)",
                 &cells_shape, &make_cells_data},
    DatasetEntry{"cifar", "binary files of CIFAR-10 or CIFAR-100, 32 x 32 x 3", &cifar_shape, &load_cifar},
    DatasetEntry{"fashion_mnist", "70,000 grey images of clothes, 28 x 28, 10 classes (Debian: dataset-fashion-mnist)",
                 &fashion_mnist_shape, &load_fashion_mnist},
    DatasetEntry{"idx", "any pair of IDX files of grey images and labels, gzip-compressed or plain", &idx_shape,
                 &load_idx},
    DatasetEntry{"image_folder", "PNG pictures in one folder per class, resized", &image_folder_shape,
                 &load_image_folder},
    DatasetEntry{"npz", "arrays of images and labels in an NPZ archive or a directory of NPY files", &npz_shape,
                 &load_npz},
    DatasetEntry{"shapes", "synthetic pictures of shapes made from a seed, for several tasks: class, edges, depth",
                 &shapes_shape, &make_shapes_data},
    DatasetEntry{"synthetic", "noisy class prototypes of any size, made from a seed", &synthetic_shape,
                 &make_synthetic_data},
    DatasetEntry{"wav_folder", "recordings in one folder per class, as cepstral coefficients for keyword spotting",
                 &wav_folder_shape, &load_wav_folder},
};

const DatasetEntry& find_entry(const nlohmann::json& config) {
  return entry_named(kDatasets, JsonReader(config).at("name").text(), "/name");
}

}  // namespace

std::span<const DatasetEntry> dataset_registry() { return kDatasets; }

TaskData load_task_data(const nlohmann::json& config) { return find_entry(config).load(config); }

TaskShape task_shape_of(const nlohmann::json& config) { return find_entry(config).shape(config); }

}  // namespace cosearch
