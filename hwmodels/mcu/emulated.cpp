#include "hwmodels/mcu/emulated.hpp"

#include <optional>
#include <utility>

namespace cosearch::mcu {
namespace {

/// The model of a core, for no board yet.
CycleModel read_core(const JsonReader& root, const JsonReader& item, const std::string& core,
                     const std::string& table_name) {
  const JsonReader table = item.at("tables").at(table_name);
  const std::optional<JsonReader> own = table.find("cycles_per_instruction");
  Emulation emulation;
  emulation.core = table_name;
  emulation.cycles_per_instruction =
      own ? own->number(kPositive) : root.at("assumed").at("cycles_per_instruction").at(core).number(kPositive);
  emulation.held_out_error = table.at("held_out_error").number(kNonNegative);
  CycleModel model;
  model.source = item.at("source").text();
  for (const auto& [feature, instructions] : table.at("instructions").members()) {
    add_feature(instructions, feature, instructions.number(kNonNegative) * emulation.cycles_per_instruction,
                model.kinds);
  }
  check_kinds(table.at("instructions"), model.kinds);
  model.emulation = std::move(emulation);
  return model;
}

}  // namespace

std::vector<CycleModel> read_emulated(const JsonReader& root, const std::map<std::string, std::string>& core_of_board,
                                      const std::vector<std::string>& engines) {
  std::vector<CycleModel> models;
  const std::optional<JsonReader> emulated = root.find("emulated");
  if (!emulated) {
    return models;
  }
  for (const JsonReader& item : emulated->items()) {
    const std::string engine = item.at("engine").name_of(engines);
    std::vector<std::string> tables;
    for (const auto& table : item.at("tables").members()) {
      tables.push_back(table.first);
    }
    for (const auto& [core, table] : item.at("cores").members()) {
      const CycleModel of_core = read_core(root, item, core, table.name_of(tables));
      for (const auto& [board, its_core] : core_of_board) {
        if (its_core == core) {
          models.push_back(of_core);
          models.back().board = board;
          models.back().engine = engine;
        }
      }
    }
  }
  return models;
}

}  // namespace cosearch::mcu
