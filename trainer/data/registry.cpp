#include <array>
#include <nlohmann/json.hpp>

#include "spaces/base/json_reader.hpp"
#include "spaces/base/registry.hpp"
#include "trainer/data/dataset.hpp"

namespace cosearch {
namespace {

// Sorted by name.
constexpr std::array kDatasets{
    DatasetEntry{"fashion_mnist", "70,000 grey images of clothes, 28 x 28, 10 classes (Debian: dataset-fashion-mnist)",
                 &fashion_mnist_shape, &load_fashion_mnist},
    DatasetEntry{"synthetic", "noisy class prototypes of any size, made from a seed", &synthetic_shape,
                 &make_synthetic_data},
};

const DatasetEntry& find_entry(const nlohmann::json& config) {
  return entry_named(kDatasets, JsonReader(config).at("name").text(), "/name");
}

}  // namespace

std::span<const DatasetEntry> dataset_registry() { return kDatasets; }

TaskData load_task_data(const nlohmann::json& config) { return find_entry(config).load(config); }

TaskShape task_shape_of(const nlohmann::json& config) { return find_entry(config).shape(config); }

}  // namespace cosearch
