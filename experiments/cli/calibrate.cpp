#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "experiments/calibrate/calibration.hpp"
#include "experiments/calibrate/pooling.hpp"
#include "experiments/calibrate/terms.hpp"
#include "experiments/cli/arguments.hpp"
#include "experiments/cli/calibrate_pooled.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/table.hpp"
#include "experiments/config/json_file.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

using calibrate::Calibration;
using calibrate::Quality;
using nlohmann::json;
using nlohmann::ordered_json;

/// The file that --data-dir looks for.
constexpr const char* kFileName = "mcu_coefficients.json";

struct CalibrateOptions {
  std::string csv;
  std::string out;
  bool pooled = false;
  calibrate::Options fit;
};

/// The file to write: `out`, or the one in it where it is a folder or has no suffix. @throws ConfigError for another
/// name.
std::string output_path(const std::string& out) {
  const std::filesystem::path path(out);
  if (path.filename() == kFileName) {
    return out;
  }
  if (path.has_extension() && !std::filesystem::is_directory(path)) {
    throw ConfigError(
        "--out", fmt::format("read {}; expected a folder or a file {}, which --data-dir looks for", out, kFileName));
  }
  return (path / kFileName).string();
}

void write_coefficients(const std::string& path, const json& data) {
  if (const std::filesystem::path folder = std::filesystem::path(path).parent_path(); !folder.empty()) {
    std::filesystem::create_directories(folder);
  }
  write_file_atomically(path, data.dump(2) + "\n");
}

/// A share, as JSON and CSV have it; tables show percent.
double relative_error(double predicted, double measured) { return predicted / measured - 1.0; }
std::string percent(double share) { return fmt::format("{:.1f}", 100.0 * share); }
std::string signed_percent(double share) { return fmt::format("{:+.1f}", 100.0 * share); }

Records coefficient_records(const Calibration& calibration) {
  Records records{"coefficients", {"term", "cycles", "unit", "features"}, {}};
  for (const mcu::Term& term : calibration.model.terms) {
    std::vector<std::string> features;
    for (const auto& [feature, weight] : term.features) {
      features.push_back(feature);
    }
    records.rows.push_back(
        {term.name, term.coefficient, calibrate::unit(term), fmt::format("{}", fmt::join(features, " "))});
  }
  records.rows.push_back({"macs only", calibration.macs_only_cycles, "cycles per MAC", "all macs"});
  return records;
}

Records network_records(const Calibration& calibration) {
  Records records{"networks",
                  {"network", "measured_ms", "fitted_ms", "error", "left_out_ms", "left_out_error",
                   "chosen_left_out_ms", "chosen_left_out_error", "macs_only_fitted_ms", "macs_only_error",
                   "macs_only_left_out_ms", "macs_only_left_out_error"},
                  {}};
  for (std::size_t i = 0; i < calibration.measured_ms.size(); ++i) {
    const double measured = calibration.measured_ms[i];
    std::vector<json> row{calibration.model.rows[i].network, measured};
    const auto add = [&](const std::vector<double>& predicted) {
      const bool known = !predicted.empty();
      row.push_back(known ? json(predicted[i]) : json(nullptr));
      row.push_back(known ? json(relative_error(predicted[i], measured)) : json(nullptr));
    };
    add(calibration.predictions.fitted_ms);
    add(calibration.predictions.left_out_ms);
    add(calibration.chosen_left_out_ms);
    add(calibration.macs_only.fitted_ms);
    add(calibration.macs_only.left_out_ms);
    records.rows.push_back(std::move(row));
  }
  return records;
}

Records quality_records(const Calibration& calibration) {
  Records records{"quality", {"prediction", "median_error", "worst_error", "kendall", "spearman"}, {}};
  const auto add = [&](const char* prediction, const std::vector<double>& predicted) {
    if (!predicted.empty()) {
      const Quality quality = calibrate::quality(predicted, calibration.measured_ms);
      records.rows.push_back(
          {prediction, quality.median_error, quality.worst_error, quality.kendall, quality.spearman});
    }
  };
  add("fitted", calibration.predictions.fitted_ms);
  add("left out", calibration.predictions.left_out_ms);
  add("left out, also of the choice", calibration.chosen_left_out_ms);
  add("macs only, fitted", calibration.macs_only.fitted_ms);
  add("macs only, left out", calibration.macs_only.left_out_ms);
  return records;
}

Records trial_records(const Calibration& calibration) {
  Records records{"trials", {"terms", "left_out_rms_error", "refused"}, {}};
  for (const calibrate::Trial& trial : calibration.trials) {
    records.rows.push_back({trial.terms, trial.left_out_rms_error ? json(*trial.left_out_rms_error) : json(nullptr),
                            trial.refusal.empty() ? json(nullptr) : json(trial.refusal)});
  }
  return records;
}

std::vector<std::string> notes(const Calibration& calibration, const std::string& path) {
  std::vector<std::string> notes;
  if (!calibration.trials.empty()) {
    notes.push_back(fmt::format(
        "terms chosen among {} sets by leave-one-out error, which favours the chosen one{}", calibration.trials.size(),
        calibration.chosen_left_out_ms.empty() ? "; the networks are too few or too many to choose again without each"
                                               : ": \"also of the choice\" chooses again without each network"));
  }
  if (calibration.assumed_share > 0.0) {
    notes.push_back(fmt::format("up to {} % of a network's cycles are of kernels with assumed instruction counts",
                                percent(calibration.assumed_share)));
  }
  if (!calibration.unmeasured.empty()) {
    notes.push_back(fmt::format("no measured network runs {}: what the terms say of it is untested",
                                fmt::join(calibration.unmeasured, ", ")));
  }
  if (!path.empty()) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    notes.push_back(fmt::format("written to {}; --data-dir {} uses it", path, folder.empty() ? "." : folder));
  }
  return notes;
}

ordered_json document(const Calibration& calibration, const std::string& path) {
  ordered_json shown = versioned();
  shown["board"] = calibration.model.board;
  shown["engine"] = calibration.model.engine;
  shown["clock_mhz"] = calibration.model.clock_mhz;
  shown["terms"] = calibration.terms;
  for (const Records& records : {coefficient_records(calibration), network_records(calibration),
                                 quality_records(calibration), trial_records(calibration)}) {
    shown[records.kind] = objects(records);
  }
  shown["notes"] = notes(calibration, path);
  return shown;
}

void print_tables(Output& out, const Calibration& calibration, const std::string& path) {
  out.write(fmt::format("{} on {} at {:g} MHz, {} networks: {}\n\n", calibration.model.engine, calibration.model.board,
                        calibration.model.clock_mhz, calibration.measured_ms.size(), calibration.terms));
  print(out, Format::table, coefficient_records(calibration));

  Table networks({"network", "measured [ms]", "fitted [ms]", "error [%]", "left out [ms]", "error [%]",
                  "macs only, left out [ms]", "error [%]"});
  for (std::size_t i = 0; i < calibration.measured_ms.size(); ++i) {
    const double measured = calibration.measured_ms[i];
    std::vector<std::string> cells{calibration.model.rows[i].network, format_number(measured)};
    for (const std::vector<double>* predicted :
         {&calibration.predictions.fitted_ms, &calibration.predictions.left_out_ms,
          &calibration.macs_only.left_out_ms}) {
      cells.push_back(format_number((*predicted)[i]));
      cells.push_back(signed_percent(relative_error((*predicted)[i], measured)));
    }
    networks.add_row(std::move(cells));
  }
  out.write("\n" + networks.text() + "\n");

  Table qualities({"predicted against measured", "median error [%]", "worst error [%]", "Kendall's tau", "Spearman"});
  for (const std::vector<json>& row : quality_records(calibration).rows) {
    qualities.add_row({row[0].get<std::string>(), percent(row[1].get<double>()), percent(row[2].get<double>()),
                       fmt::format("{:.3f}", row[3].get<double>()), fmt::format("{:.3f}", row[4].get<double>())});
  }
  out.write(qualities.text());

  Table trials({"terms", "left-out RMS error [%]", "refused"});
  for (const calibrate::Trial& trial : calibration.trials) {
    trials.add_row({trial.terms, trial.left_out_rms_error ? percent(*trial.left_out_rms_error) : "-", trial.refusal});
  }
  out.write(trials.empty() ? "\n" : "\n" + trials.text() + "\n");
  for (const std::string& note : notes(calibration, path)) {
    out.write("note: " + note + "\n");
  }
}

/// All latencies that were published, instead of a file's.
int run_pooled(CommandLine& line, const std::string& path) {
  const std::string& data_directory = line.options.data_directory;
  const calibrate::PublishedLatencies published = calibrate::load_published(data_directory);
  const calibrate::Pooling pooling = calibrate::pool(published, data_directory);
  if (!path.empty()) {
    write_coefficients(path, calibrate::data_with_pooled(pooling, published, data_directory));
  }
  print_pooling(line, pooling, path);
  return 0;
}

int run_calibrate(CommandLine& line, CalibrateOptions options) {
  const std::string path = options.out.empty() ? "" : output_path(options.out);
  if (options.pooled) {
    return run_pooled(line, path);
  }
  for (const auto& [option, value] : {std::pair{"--csv", options.csv}, std::pair{"--board", options.fit.board},
                                      std::pair{"--engine", options.fit.engine}}) {
    if (value.empty()) {
      throw ConfigError(option, "is missing; expected --csv, --board and --engine of measurements, or --pooled");
    }
  }
  options.fit.data_directory = line.options.data_directory;
  const Calibration calibration = calibrate::calibrate(calibrate::read_measurements(options.csv), options.fit);
  if (!path.empty()) {
    write_coefficients(path, mcu::data_with_model(calibration.model, options.fit.data_directory));
  }
  switch (line.options.format) {
    case Format::table:
      print_tables(line.out, calibration, path);
      break;
    case Format::csv:
      print(line.out, Format::csv, network_records(calibration));
      break;
    case Format::json:
    case Format::jsonl:
      print(line.out, line.options.format, document(calibration, path));
      break;
  }
  return 0;
}

}  // namespace

void add_calibrate_command(const Command& program, CommandLine& line) {
  const Command command =
      program.command("calibrate", "cycle coefficients of a microcontroller from measured latencies");
  const auto options = std::make_shared<CalibrateOptions>();
  const Argument pooled =
      command.flag("--pooled", options->pooled,
                   "instead of a file's: all published latencies by one model, engines' rates times boards' scales");
  command.option("--csv", options->csv,
                 "columns network (a name of `networks list`, or a .json file), measured_ms, perhaps clock_mhz");
  command.option("--board", options->fit.board, "that was measured, e.g. l4r5");
  command.option("--engine", options->fit.engine, "that was measured, e.g. cmsis_nn");
  command.option("--clock-mhz", options->fit.clock_mhz, "of the measurements; else the file's, else the board's")
      .positive();
  command.option("--terms", options->fit.terms,
                 "what has a coefficient, e.g. conv2d+pointwise+depthwise; else chosen by leave-one-out error");
  command.option("--source", options->fit.source, "what the written file says of the measurements");
  command.option("--out", options->out,
                 "mcu_coefficients.json or a folder for it: all coefficients with these in them, for --data-dir");
  for (const char* option : {"--csv", "--board", "--engine", "--clock-mhz", "--terms", "--source"}) {
    pooled.excludes(command.named(option));
  }
  command.runs(line, [&line, options] { return run_calibrate(line, *options); });
}

}  // namespace cosearch::cli
