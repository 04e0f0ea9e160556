#include "hwmodels/mcu/coefficients.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "hwmodels/mcu/emulated.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::mcu {
namespace {

using program::KernelKind;

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

Term read_term(const JsonReader& item, double coefficient) {
  Term term{item.at("name").text(), {}, coefficient};
  for (const auto& [feature, weight] : item.at("features").members()) {
    term.features[feature] = weight.number(kPositive);
  }
  return term;
}

std::vector<CalibrationRow> read_rows(const JsonReader& item) {
  std::vector<CalibrationRow> rows;
  for (const JsonReader& row : item.at("rows").items()) {
    CalibrationRow read{row.at("network").text(), row.at("measured_ms").number(kPositive), row.at("error").number(),
                        std::nullopt, row.find("held_out").has_value()};
    if (const std::optional<JsonReader> error = row.find("leave_one_out_error")) {
      read.leave_one_out_relative_error = error->number();
    }
    rows.push_back(std::move(read));
  }
  return rows;
}

CycleModel read_fitted(const JsonReader& item) {
  CycleModel model;
  model.source = item.at("source").text();
  model.clock_mhz = item.at("clock_mhz").number(kPositive);
  for (const JsonReader& term : item.at("terms").items()) {
    Term read = read_term(term, term.at("coefficient").number(kNonNegative));
    for (const auto& [feature, weight] : read.features) {
      add_feature(term, feature, read.coefficient * weight, model.kinds);
    }
    model.terms.push_back(std::move(read));
  }
  model.rows = read_rows(item);
  return model;
}

/// What a board or an engine brings to a product, and what that rests on.
struct PooledPart {
  JsonReader value;  ///< a scale, or rates in the order of the terms
  std::string source;
};

/// Those of `parts`, and others that are like one of them.
std::map<std::string, PooledPart> read_pooled_parts(const JsonReader& pooled, const std::string& parts,
                                                    const std::string& stand_ins) {
  std::map<std::string, PooledPart> all;
  std::vector<std::string> names;
  for (const auto& [name, value] : pooled.at(parts).members()) {
    all.emplace(name, PooledPart{value, ""});
    names.push_back(name);
  }
  for (const auto& [name, other] : pooled.at(stand_ins).members()) {
    const std::string like = other.at("like").name_of(names);
    all.emplace(name,
                PooledPart{all.at(like).value, fmt::format("{} like {}: {}; ", name, like, other.at("source").text())});
  }
  return all;
}

/// Appends the model of a board and an engine, unless there is one: rates in the order of the terms times a scale.
void add_pooled(const JsonReader& root, const JsonReader& rates, double scale, CycleModel model,
                const std::string& core, CycleTable& table) {
  if (table.find(model.board, model.engine) != nullptr) {
    return;
  }
  model.pooled = true;
  const std::vector<JsonReader> terms = root.at("pooled").at("terms").items();
  const std::vector<JsonReader> amounts = rates.items();
  if (amounts.size() != terms.size()) {
    rates.fail(fmt::format("{} rates for {} terms", amounts.size(), terms.size()));
  }
  for (std::size_t i = 0; i < terms.size(); ++i) {
    model.terms.push_back(read_term(terms[i], amounts[i].number(kPositive) * scale));
    for (const auto& [feature, weight] : model.terms.back().features) {
      add_feature(terms[i], feature, model.terms.back().coefficient * weight, model.kinds);
    }
  }
  add_assumed(root.at("assumed"), core, model.kinds);
  check_kinds(root.at("pooled").at("terms"), model.kinds);
  table.models.push_back(std::move(model));
}

void read_pooled_pairs(const JsonReader& root, const std::map<std::string, std::string>& core_of_board,
                       const std::vector<std::string>& engines, CycleTable& table) {
  const JsonReader pooled = root.at("pooled");
  for (const JsonReader& pair : pooled.at("pairs").items()) {
    CycleModel model;
    model.board = pair.at("board").text();
    model.engine = pair.at("engine").name_of(engines);
    model.source = pooled.at("source").text();
    model.clock_mhz = pair.at("clock_mhz").number(kPositive);
    model.rows = read_rows(pair);
    if (const auto core = core_of_board.find(model.board); core != core_of_board.end()) {
      add_pooled(root, pair.at("rates"), 1.0, std::move(model), core->second, table);
    }
  }
}

void read_pooled_products(const JsonReader& root, const std::map<std::string, std::string>& core_of_board,
                          const std::vector<std::string>& engines, CycleTable& table) {
  const JsonReader pooled = root.at("pooled");
  const auto rates_of_engines = read_pooled_parts(pooled, "engines", "engine_stand_ins");
  for (const auto& [board, scale] : read_pooled_parts(pooled, "boards", "stand_ins")) {
    const auto core = core_of_board.find(board);
    if (core == core_of_board.end()) {
      continue;  // a board that boards.json does not offer any more
    }
    for (const auto& [engine, rates] : rates_of_engines) {
      if (std::find(engines.begin(), engines.end(), engine) == engines.end()) {
        rates.value.fail(unknown_name(engine, engines));
      }
      CycleModel model;
      model.board = board;
      model.engine = engine;
      model.source = scale.source + rates.source + pooled.at("source").text();
      add_pooled(root, rates.value, scale.value.number(kPositive), std::move(model), core->second, table);
    }
  }
}

/// The model that `item` names, under a name of its own.
CycleModel read_assumed_from(const JsonReader& item, const JsonReader& from, const CycleTable& table) {
  const std::pair<std::string, std::string> other{from.at("board").text(), from.at("engine").text()};
  const CycleModel* const found = table.find(other.first, other.second);
  if (found == nullptr) {
    from.fail("names a model that does not stand before it");
  }
  CycleModel model = *found;
  model.assumed_from = other;
  model.source = item.at("source").text();
  return model;
}

/// Models of the file: those with measurements, or those that name another.
void read_models(const JsonReader& root, bool with_measurements,
                 const std::map<std::string, std::string>& core_of_board, const std::vector<std::string>& engines,
                 CycleTable& table) {
  for (const JsonReader& item : root.at("models").items()) {
    const std::string board = item.at("board").text();
    const auto core = core_of_board.find(board);
    const std::optional<JsonReader> from = item.find("assumed_from");
    if (core == core_of_board.end() || from.has_value() == with_measurements) {
      continue;  // a board that boards.json does not offer any more, or not now
    }
    CycleModel model = from ? read_assumed_from(item, *from, table) : read_fitted(item);
    if (!from) {
      add_assumed(root.at("assumed"), core->second, model.kinds);
    }
    model.board = board;
    model.engine = item.at("engine").name_of(engines);
    check_kinds(item, model.kinds);
    table.models.push_back(std::move(model));
  }
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

const CycleModel* CycleTable::find(const std::string& board, const std::string& engine) const {
  const auto found = std::find_if(models.begin(), models.end(),
                                  [&](const CycleModel& m) { return m.board == board && m.engine == engine; });
  return found == models.end() ? nullptr : &*found;
}

const CycleModel& CycleTable::model(const std::string& board, const std::string& engine) const {
  const CycleModel* const found = find(board, engine);
  COSEARCH_CHECK(found != nullptr, "no cycle model for a board and engine");
  return *found;
}

const Engine& CycleTable::engine(const std::string& name) const {
  const auto found = std::find_if(engines.begin(), engines.end(), [&](const Engine& e) { return e.name == name; });
  COSEARCH_CHECK(found != engines.end(), "an engine that is not in the table");
  return *found;
}

const Engine& CycleTable::best_calibrated(const std::string& board) const {
  const auto calibration = [&](const Engine& engine) {
    const CycleModel* const cycles = find(board, engine.name);
    const int standing = cycles == nullptr ? 0 : cycles->rows.empty() || cycles->assumed_from ? 1 : 2;
    return std::pair{standing, cycles == nullptr ? std::size_t{0} : cycles->fitted_rows()};
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
  const bool pooled = root.find("pooled").has_value();
  read_models(root, true, core_of_board, names, table);
  if (pooled) {
    read_pooled_pairs(root, core_of_board, names, table);
  }
  read_models(root, false, core_of_board, names, table);
  if (pooled) {
    read_pooled_products(root, core_of_board, names, table);
  }
  for (CycleModel& model : read_emulated(root, core_of_board, names)) {
    if (table.find(model.board, model.engine) == nullptr) {
      table.models.push_back(std::move(model));
    }
  }
  for (const auto& entry : core_of_board) {
    if (std::none_of(table.models.begin(), table.models.end(),
                     [&](const CycleModel& model) { return model.board == entry.first; })) {
      root.at("models").fail(fmt::format("has no model for the board \"{}\"", entry.first));
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
  const auto position = static_cast<std::size_t>(found - items.begin());
  if (found == items.end()) {
    data["models"].push_back(to_json(model));
  } else {
    data["models"][position] = to_json(model);
  }
  return data;
}

}  // namespace cosearch::mcu
