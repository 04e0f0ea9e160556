#include "hwmodels/mcu/coefficients.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::mcu {
namespace {

using program::KernelKind;

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const KernelKind kind : program::all_kernel_kinds()) {
    names.emplace_back(program::kind_name(kind));
  }
  return names;
}

KernelKind kind_of(const JsonReader& place, const std::string& name) {
  for (const KernelKind kind : program::all_kernel_kinds()) {
    if (program::kind_name(kind) == name) {
      return kind;
    }
  }
  place.fail(fmt::format("kernel kind \"{}\" is not known", name));
}

void add_feature(const JsonReader& place, const std::string& feature, double amount,
                 std::map<KernelKind, KernelCycles>& kinds) {
  const std::size_t dot = feature.find('.');
  const std::string quantity = dot == std::string::npos ? "" : feature.substr(dot + 1);
  KernelCycles& cycles = kinds[kind_of(place, feature.substr(0, dot))];
  if (quantity == "macs") {
    cycles.per_mac += amount;
  } else if (quantity == "outputs") {
    cycles.per_output += amount;
  } else if (quantity == "elements") {
    cycles.per_element += amount;
  } else {
    place.fail("\"" + feature + "\" is not a feature; allowed: <kernel kind>.macs, .outputs, .elements");
  }
}

/// Kinds that no measured network tells about: instruction counts times the core's cycles per instruction, or the
/// coefficients of a similar kind.
void add_assumed(const JsonReader& assumed, const std::string& core, std::map<KernelKind, KernelCycles>& kinds) {
  const double cycles_per_instruction = assumed.at("cycles_per_instruction").at(core).number(kPositive);
  for (const auto& [feature, instructions] : assumed.at("instructions").members()) {
    const KernelKind kind = kind_of(instructions, feature.substr(0, feature.find('.')));
    const bool fitted = kinds.find(kind) != kinds.end() && !kinds[kind].assumed;
    add_feature(instructions, feature, cycles_per_instruction * instructions.number(kNonNegative), kinds);
    kinds[kind].assumed = !fitted;
  }
  const std::vector<std::string> names = kind_names();
  for (const auto& [kind, like] : assumed.at("like").members()) {
    KernelCycles& target = kinds[kind_of(like, kind)];
    const double per_element = target.per_element;
    target = kinds[kind_of(like, like.name_of(names))];
    target.per_element = per_element;
    target.assumed = true;
  }
}

CycleModel read_fitted(const JsonReader& item) {
  CycleModel model;
  model.source = item.at("source").text();
  model.clock_mhz = item.at("clock_mhz").number(kPositive);
  for (const JsonReader& term : item.at("terms").items()) {
    Term read{term.at("name").text(), {}, term.at("coefficient").number(kNonNegative)};
    for (const auto& [feature, weight] : term.at("features").members()) {
      read.features[feature] = weight.number(kPositive);
      add_feature(weight, feature, read.coefficient * read.features[feature], model.kinds);
    }
    model.terms.push_back(std::move(read));
  }
  for (const JsonReader& row : item.at("rows").items()) {
    CalibrationRow read{row.at("network").text(), row.at("measured_ms").number(kPositive), row.at("error").number(),
                        std::nullopt, row.find("held_out").has_value()};
    if (const std::optional<JsonReader> error = row.find("leave_one_out_error")) {
      read.leave_one_out_relative_error = error->number();
    }
    model.rows.push_back(std::move(read));
  }
  return model;
}

nlohmann::json to_json(const CycleModel& model) {
  nlohmann::json terms = nlohmann::json::array();
  for (const Term& term : model.terms) {
    terms.push_back({{"name", term.name}, {"features", term.features}, {"coefficient", term.coefficient}});
  }
  nlohmann::json rows = nlohmann::json::array();
  for (const CalibrationRow& row : model.rows) {
    nlohmann::json& written = rows.emplace_back(
        nlohmann::json{{"network", row.network}, {"measured_ms", row.measured_ms}, {"error", row.relative_error}});
    if (row.leave_one_out_relative_error) {
      written["leave_one_out_error"] = *row.leave_one_out_relative_error;
    }
    if (row.held_out) {
      written["held_out"] = true;
    }
  }
  return {{"board", model.board},         {"engine", model.engine}, {"source", model.source},
          {"clock_mhz", model.clock_mhz}, {"terms", terms},         {"rows", rows}};
}

Engine read_engine(const std::string& name, const JsonReader& item) {
  Engine engine;
  engine.name = name;
  const std::string rules = item.at("rules").name_of({"cmsis_nn", "cosearch", "tflm_reference", "tinyengine"});
  engine.rules = rules == "tinyengine" ? program::tinyengine_options()
                 : rules == "cmsis_nn" ? program::cmsis_nn_options()
                 : rules == "cosearch" ? program::cosearch_options()
                                       : program::tflm_reference_options();
  engine.code_bytes = item.at("code_bytes").integer(0);
  engine.note = item.at("note").text();
  return engine;
}

}  // namespace

std::size_t CycleModel::fitted_rows() const {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [](const CalibrationRow& row) { return !row.held_out; }));
}

const CycleModel& CycleTable::model(const std::string& board, const std::string& engine) const {
  const auto found = std::find_if(models.begin(), models.end(),
                                  [&](const CycleModel& m) { return m.board == board && m.engine == engine; });
  COSEARCH_CHECK(found != models.end(), "no cycle model for a board and engine");
  return *found;
}

const Engine& CycleTable::engine(const std::string& name) const {
  const auto found = std::find_if(engines.begin(), engines.end(), [&](const Engine& e) { return e.name == name; });
  COSEARCH_CHECK(found != engines.end(), "an engine that is not in the table");
  return *found;
}

const Engine& CycleTable::best_calibrated(const std::string& board) const {
  const auto calibration = [&](const Engine& engine) {
    const CycleModel& cycles = model(board, engine.name);
    return std::pair{!cycles.assumed_from.has_value(), cycles.fitted_rows()};
  };
  return *std::max_element(engines.begin(), engines.end(), [&](const Engine& a, const Engine& b) {
    return calibration(a) < calibration(b);  // the first of the largest
  });
}

CycleTable load_cycle_table(const std::string& data_directory,
                            const std::map<std::string, std::string>& core_of_board) {
  const nlohmann::json data = load_data("mcu_coefficients", data_directory);
  const JsonReader root(data, "", data_file_name("mcu_coefficients", data_directory));
  CycleTable table;
  std::vector<std::string> names;
  for (const JsonReader& item : root.at("engines").items()) {
    names.push_back(item.at("name").text());
    table.engines.push_back(read_engine(names.back(), item));
  }
  const JsonReader assumed = root.at("assumed");
  for (const JsonReader& item : root.at("models").items()) {
    const std::string board = item.at("board").text();
    const auto core = core_of_board.find(board);
    if (core == core_of_board.end()) {
      continue;  // a board that boards.json does not offer any more
    }
    CycleModel model;
    if (const std::optional<JsonReader> from = item.find("assumed_from")) {
      const std::pair<std::string, std::string> other{from->at("board").text(), from->at("engine").text()};
      const auto found = std::find_if(table.models.begin(), table.models.end(), [&](const CycleModel& m) {
        return m.board == other.first && m.engine == other.second;
      });
      if (found == table.models.end()) {
        from->fail("names a model that does not stand before it");
      }
      model = *found;
      model.assumed_from = other;
      model.source = item.at("source").text();
    } else {
      model = read_fitted(item);
      add_assumed(assumed, core->second, model.kinds);
    }
    model.board = board;
    model.engine = item.at("engine").name_of(names);
    for (const KernelKind kind : program::all_kernel_kinds()) {
      if (model.kinds.find(kind) == model.kinds.end()) {
        item.fail("says nothing about the kernel kind " + std::string(program::kind_name(kind)));
      }
    }
    table.models.push_back(std::move(model));
  }
  for (const auto& entry : core_of_board) {
    for (const std::string& engine : names) {
      const auto matches = [&](const CycleModel& m) { return m.board == entry.first && m.engine == engine; };
      if (std::none_of(table.models.begin(), table.models.end(), matches)) {
        root.at("models").fail(
            fmt::format("has no model for the board \"{}\" with the engine \"{}\"", entry.first, engine));
      }
    }
  }
  return table;
}

std::map<KernelKind, KernelCycles> kernel_cycles(const std::vector<Term>& terms, const std::string& core,
                                                 const std::string& data_directory) {
  const nlohmann::json data = load_data("mcu_coefficients", data_directory);
  const JsonReader root(data, "", data_file_name("mcu_coefficients", data_directory));
  std::map<KernelKind, KernelCycles> kinds;
  for (const Term& term : terms) {
    for (const auto& [feature, weight] : term.features) {
      add_feature(root, feature, term.coefficient * weight, kinds);
    }
  }
  add_assumed(root.at("assumed"), core, kinds);
  return kinds;
}

nlohmann::json data_with_model(const CycleModel& model, const std::string& data_directory) {
  nlohmann::json data = load_data("mcu_coefficients", data_directory);
  const JsonReader root(data, "", data_file_name("mcu_coefficients", data_directory));
  const std::vector<JsonReader> items = root.at("models").items();
  const auto found = std::find_if(items.begin(), items.end(), [&](const JsonReader& item) {
    return item.at("board").text() == model.board && item.at("engine").text() == model.engine;
  });
  if (found == items.end()) {
    root.at("models").fail(fmt::format("has no model for {} with {}", model.board, model.engine));
  }
  data["models"][static_cast<std::size_t>(found - items.begin())] = to_json(model);
  return data;
}

std::map<std::string, double> features(const program::Program& program) {
  std::map<std::string, double> sums;
  for (const program::KernelCall& call : program.calls) {
    const std::string kind(program::kind_name(call.kind));
    sums[kind + ".macs"] += static_cast<double>(call.macs);
    sums[kind + ".outputs"] += static_cast<double>(call.outputs);
    sums[kind + ".elements"] += static_cast<double>(call.elementwise);
  }
  return sums;
}

double cycles(const program::KernelCall& call, const KernelCycles& cycles) {
  return cycles.per_mac * static_cast<double>(call.macs) + cycles.per_output * static_cast<double>(call.outputs) +
         cycles.per_element * static_cast<double>(call.elementwise);
}

}  // namespace cosearch::mcu
