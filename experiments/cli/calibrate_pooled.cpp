#include "experiments/cli/calibrate_pooled.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/cli/table.hpp"

namespace cosearch::cli {
namespace {

using calibrate::PooledPrediction;
using calibrate::Pooling;
using calibrate::Quality;
using nlohmann::json;
using nlohmann::ordered_json;
using Prediction = std::optional<double> PooledPrediction::*;

constexpr Prediction kLeftOut = &PooledPrediction::network_left_out_ms;
constexpr Prediction kMacsOnly = &PooledPrediction::macs_only_ms;
constexpr Prediction kPair = &PooledPrediction::pair_left_out_ms;

json known(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json error_of(const std::optional<double>& predicted, double measured) {
  return predicted ? json(*predicted / measured - 1.0) : json(nullptr);
}

std::string percent(const json& share) {
  return share.is_null() ? "-" : fmt::format("{:+.1f}", 100.0 * share.get<double>());
}

Records row_records(const Pooling& pooling) {
  Records records{"rows",
                  {"board", "engine", "network", "measured_ms", "fitted_ms", "left_out_ms", "left_out_error",
                   "macs_only_ms", "macs_only_error", "pair_left_out_ms", "pair_left_out_error"},
                  {}};
  for (const PooledPrediction& prediction : pooling.rows) {
    const double measured = prediction.row.measured_ms;
    std::vector<json> row{prediction.row.board, prediction.row.engine_generation(), prediction.row.network, measured,
                          prediction.fitted_ms};
    for (const Prediction predicted : {kLeftOut, kMacsOnly, kPair}) {
      row.push_back(known(prediction.*predicted));
      row.push_back(error_of(prediction.*predicted, measured));
    }
    records.rows.push_back(std::move(row));
  }
  return records;
}

Records rate_records(const Pooling& pooling) {
  Records records{"rates", {"engine"}, {}};
  for (const mcu::Term& term : pooling.terms) {
    records.columns.push_back(term.name);
  }
  for (std::size_t engine = 0; engine < pooling.engines.size(); ++engine) {
    std::vector<json> row{pooling.engines[engine]};
    row.insert(row.end(), pooling.fit.rates[engine].begin(), pooling.fit.rates[engine].end());
    records.rows.push_back(std::move(row));
  }
  return records;
}

Records scale_records(const Pooling& pooling) {
  Records records{"scales", {"board", "scale", "rows"}, {}};
  for (std::size_t board = 0; board < pooling.boards.size(); ++board) {
    const auto rows = std::count_if(pooling.rows.begin(), pooling.rows.end(), [&](const PooledPrediction& prediction) {
      return prediction.row.board == pooling.boards[board];
    });
    records.rows.push_back({pooling.boards[board], pooling.fit.device[board], rows});
  }
  return records;
}

Records quality_records(const Pooling& pooling) {
  Records records{"quality", {"prediction", "rows", "median_error", "worst_error", "kendall", "spearman"}, {}};
  const auto add = [&](const std::string& prediction, Prediction predicted, Prediction also) {
    const Quality quality = quality_of(pooling.rows, predicted, also);
    const auto rows = std::count_if(pooling.rows.begin(), pooling.rows.end(), [&](const PooledPrediction& row) {
      return (row.*predicted).has_value() && (row.*also).has_value();
    });
    records.rows.push_back(
        {prediction, rows, quality.median_error, quality.worst_error, quality.kendall, quality.spearman});
  };
  add("network left out", kLeftOut, kMacsOnly);
  add("macs only, network left out", kMacsOnly, kLeftOut);
  add("board with engine left out", kPair, kPair);
  return records;
}

/// Medians of errors network by network.
Records network_records(const Pooling& pooling) {
  Records records{"networks", {"network", "rows", "left_out_median_error", "macs_only_median_error"}, {}};
  std::vector<std::string> names;
  for (const PooledPrediction& prediction : pooling.rows) {
    if (std::find(names.begin(), names.end(), prediction.row.network) == names.end()) {
      names.push_back(prediction.row.network);
    }
  }
  for (const std::string& name : names) {
    std::vector<PooledPrediction> rows;
    std::copy_if(pooling.rows.begin(), pooling.rows.end(), std::back_inserter(rows),
                 [&](const PooledPrediction& prediction) {
                   return prediction.row.network == name && prediction.network_left_out_ms && prediction.macs_only_ms;
                 });
    if (!rows.empty()) {
      records.rows.push_back({name, rows.size(), calibrate::quality_of(rows, kLeftOut, kMacsOnly).median_error,
                              calibrate::quality_of(rows, kMacsOnly, kLeftOut).median_error});
    }
  }
  return records;
}

Records trial_records(const Pooling& pooling) {
  Records records{"trials", {"terms", "left_out_rms_log_error"}, {}};
  for (const calibrate::Trial& trial : pooling.trials) {
    records.rows.push_back({trial.terms, known(trial.left_out_rms_error)});
  }
  return records;
}

std::vector<std::string> notes(const Pooling& pooling, const std::string& path) {
  std::vector<std::string> notes{
      fmt::format("{} rows of {} networks; {} parameters, which spreads hold together so that they count as {:.0f}",
                  pooling.rows.size(), pooling.networks, pooling.fit.parameters, pooling.fit.effective_parameters),
      "left out: a network's rows of all boards and engines, and the terms chosen anew without them; macs only: one "
      "coefficient for each board and engine. A board with an engine that has one row predicts nothing"};
  if (!path.empty()) {
    notes.push_back(fmt::format("written to {}; --data-dir with its folder uses it", path));
  }
  return notes;
}

void print_table(Output& out, const Pooling& pooling, const std::string& path) {
  out.write(fmt::format("pooled: cycles = scale of the board * sum of rates of the engine: {}\n\n", pooling.name));
  Table rows({"board", "engine", "network", "measured [ms]", "left out [ms]", "error [%]", "macs only [ms]",
              "error [%]", "pair left out, error [%]"});
  for (const std::vector<json>& row : row_records(pooling).rows) {
    const auto cell = [&](std::size_t i) { return row[i].is_null() ? "-" : format_number(row[i].get<double>()); };
    rows.add_row({row[0].get<std::string>(), row[1].get<std::string>(), row[2].get<std::string>(), cell(3), cell(5),
                  percent(row[6]), cell(7), percent(row[8]), percent(row[10])});
  }
  out.write(rows.text() + "\n");
  for (const Records& records : {network_records(pooling), quality_records(pooling), rate_records(pooling),
                                 scale_records(pooling), trial_records(pooling)}) {
    print(out, Format::table, records);
    out.write("\n");
  }
  for (const std::string& note : notes(pooling, path)) {
    out.write("note: " + note + "\n");
  }
}

}  // namespace

void print_pooling(CommandLine& line, const Pooling& pooling, const std::string& path) {
  if (line.options.format == Format::table) {
    print_table(line.out, pooling, path);
  } else if (line.options.format == Format::csv) {
    print(line.out, Format::csv, row_records(pooling));
  } else {
    ordered_json shown = versioned();
    shown["terms"] = pooling.name;
    shown["parameters"] = pooling.fit.parameters;
    shown["effective_parameters"] = pooling.fit.effective_parameters;
    for (const Records& records : {row_records(pooling), network_records(pooling), quality_records(pooling),
                                   rate_records(pooling), scale_records(pooling), trial_records(pooling)}) {
      shown[records.kind] = objects(records);
    }
    shown["notes"] = notes(pooling, path);
    print(line.out, line.options.format, shown);
  }
}

}  // namespace cosearch::cli
