#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "experiments/calibrate/pooling.hpp"
#include "hwmodels/data_files.hpp"

namespace cosearch::calibrate {
namespace {

/// Digits that a written coefficient keeps.
double rounded(double value) { return std::stod(fmt::format("{:.7g}", value)); }

/// Of a relative error: as many as a table needs.
double rounded_error(double value) { return std::stod(fmt::format("{:.6f}", value)); }

/// The engine that a name with its generation stands for, where the data file uses that generation.
std::optional<std::string> engine_in_use(const PublishedLatencies& published, const std::string& name) {
  for (const PublishedLatency& row : published.rows) {
    if (row.engine_generation() == name) {
      const auto use = published.generation_in_use.find(row.engine);
      const bool used = use == published.generation_in_use.end() || use->second == row.generation;
      return used ? std::optional(row.engine) : std::nullopt;
    }
  }
  return std::nullopt;
}

/// Measured with nothing but each other.
bool alone(const Pooling& pooling, std::size_t device, std::size_t engine) {
  const auto count = [&](const auto& rule) {
    return std::count_if(pooling.fit.pair.begin(), pooling.fit.pair.end(), rule);
  };
  return count([&](const auto& item) { return item.first.first == device; }) == 1 &&
         count([&](const auto& item) { return item.first.second == engine; }) == 1;
}

nlohmann::json rates_json(const std::vector<double>& rates, double scale) {
  nlohmann::json list = nlohmann::json::array();
  for (const double rate : rates) {
    list.push_back(rounded(scale * rate));
  }
  return list;
}

nlohmann::json pair_json(const Pooling& pooling, const std::string& engine_name, std::size_t device,
                         std::size_t engine) {
  nlohmann::json pair{{"board", pooling.boards[device]}, {"engine", engine_name}};
  pair["rates"] =
      rates_json(pooling.fit.rates[engine], pooling.fit.device[device] * pooling.fit.pair.at({device, engine}));
  for (const PooledPrediction& prediction : pooling.rows) {
    if (prediction.row.board == pooling.boards[device] &&
        prediction.row.engine_generation() == pooling.engines[engine]) {
      const double measured = prediction.row.measured_ms;
      pair["clock_mhz"] = prediction.row.clock_mhz;
      nlohmann::json& row =
          pair["rows"].emplace_back(nlohmann::json{{"network", prediction.row.network},
                                                   {"measured_ms", measured},
                                                   {"error", rounded_error(prediction.fitted_ms / measured - 1.0)}});
      if (prediction.network_left_out_ms) {
        row["leave_one_out_error"] = rounded_error(*prediction.network_left_out_ms / measured - 1.0);
      }
    }
  }
  return pair;
}

bool has_fit(const nlohmann::json& data, const std::string& board, const std::string& engine) {
  return std::any_of(data.at("models").begin(), data.at("models").end(), [&](const nlohmann::json& model) {
    return model.at("board") == board && model.at("engine") == engine && !model.contains("assumed_from");
  });
}

std::string source_of(const Pooling& pooling) {
  const auto percent = [&](std::optional<double> PooledPrediction::*predicted) {
    return 100.0 * quality_of(pooling.rows, predicted, predicted).median_error;
  };
  return fmt::format(
      "{} published latencies of {} networks on {} boards; a network left out: median error {:.1f} %, a board with an "
      "engine left out: {:.1f} %",
      pooling.rows.size(), pooling.networks, pooling.boards.size(), percent(&PooledPrediction::network_left_out_ms),
      percent(&PooledPrediction::pair_left_out_ms));
}

}  // namespace

nlohmann::json data_with_pooled(const Pooling& pooling, const PublishedLatencies& published,
                                const std::string& data_directory) {
  nlohmann::json data = load_data("mcu_coefficients", data_directory);
  nlohmann::json block{{"source", source_of(pooling)},
                       {"terms", nlohmann::json::array()},
                       {"boards", nlohmann::json::object()},
                       {"engines", nlohmann::json::object()},
                       {"pairs", nlohmann::json::array()}};
  for (const mcu::Term& term : pooling.terms) {
    block["terms"].push_back({{"name", term.name}, {"features", term.features}});
  }
  for (const auto& [pair, scale] : pooling.fit.pair) {
    const auto [device, engine] = pair;
    const std::optional<std::string> name = engine_in_use(published, pooling.engines[engine]);
    if (!alone(pooling, device, engine)) {
      block["boards"][pooling.boards[device]] = rounded(pooling.fit.device[device]);
      if (name) {
        block["engines"][*name] = rates_json(pooling.fit.rates[engine], 1.0);
      }
    }
    if (name && !has_fit(data, pooling.boards[device], *name)) {
      block["pairs"].push_back(pair_json(pooling, *name, device, engine));
    }
  }
  const auto old = data.find("pooled");
  for (const char* stand_ins : {"stand_ins", "engine_stand_ins"}) {
    block[stand_ins] = old == data.end() ? nlohmann::json::object() : old->at(stand_ins);
  }
  data["pooled"] = std::move(block);
  return data;
}

}  // namespace cosearch::calibrate
