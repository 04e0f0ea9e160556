#include <array>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "trainer/data/dataset.hpp"

namespace cosearch {
namespace {

// Sorted by name.
constexpr std::array kDatasets{
    DatasetEntry{"fashion_mnist", "70,000 grey images of clothes, 28 x 28, 10 classes (Debian: dataset-fashion-mnist)",
                 &check_fashion_mnist_config, &load_fashion_mnist},
    DatasetEntry{"synthetic", "noisy class prototypes of any size, made from a seed", &check_synthetic_config,
                 &make_synthetic_data},
};

const DatasetEntry& find_entry(const nlohmann::json& config) {
  if (!config.is_object() || !config.contains("name")) {
    throw ConfigError("", "a data set is an object with a \"name\", such as {\"name\": \"fashion_mnist\"}");
  }
  const nlohmann::json& name = config.at("name");
  if (!name.is_string()) {
    throw ConfigError("/name", "read " + name.dump() + ", expected a string");
  }
  std::vector<std::string> known;
  for (const DatasetEntry& entry : kDatasets) {
    if (entry.name == name.get_ref<const std::string&>()) {
      return entry;
    }
    known.emplace_back(entry.name);
  }
  throw ConfigError("/name", unknown_name(name.get<std::string>(), known));
}

}  // namespace

std::span<const DatasetEntry> dataset_registry() { return kDatasets; }

TaskData load_task_data(const nlohmann::json& config) { return find_entry(config).load(config); }

void check_task_data_config(const nlohmann::json& config) { find_entry(config).check(config); }

}  // namespace cosearch
