#include "hwmodels/asic/target_options.hpp"

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/ir/text_words.hpp"

namespace cosearch::asic {
namespace {

constexpr ir::Words<MapObjective, 3> kObjectives{
    {{"edp", MapObjective::edp}, {"energy", MapObjective::energy}, {"latency", MapObjective::latency}}};
constexpr std::int64_t kDefaultEvaluations = 20'000;
constexpr std::int64_t kMostEvaluations = 1'000'000'000;

}  // namespace

TargetOptions read_target_options(const JsonReader& reader, const std::string& data_directory) {
  TargetOptions options;
  const std::string table = reader.text("energy_table", "energy_45nm");
  options.prices = load_price_table(table, data_directory);
  if (options.prices.macros.vector_operations.empty()) {
    throw ConfigError(reader.pointer() + "/energy_table",
                      table + " has no vector_operations, which networks need for what is no product");
  }
  if (const auto objective = reader.find("objective")) {
    options.run.mapper.objective = *ir::value_of(kObjectives, objective->name_of(ir::all_words(kObjectives)));
  }
  options.run.mapper.evaluations = reader.integer("mapper_evaluations", kDefaultEvaluations, 1, kMostEvaluations);
  options.run.residency = reader.boolean("residency", true);
  options.run.fusion = reader.boolean("fusion", true);
  options.run.expert_prefetch = reader.boolean("expert_prefetch", true);
  options.memo = std::make_shared<MapMemo>();
  Hasher hasher;
  hasher.add(load_data(table, data_directory).dump()).add(load_data("dataflows", data_directory).dump());
  options.fingerprint = hex(hasher.value());
  return options;
}

void check_target_options(const JsonReader& reader, std::vector<std::string> own) {
  own.insert(own.end(), {"energy_table", "expert_prefetch", "fusion", "mapper_evaluations", "objective", "residency"});
  reader.only(own);
}

}  // namespace cosearch::asic
