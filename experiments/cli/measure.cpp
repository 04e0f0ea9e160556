#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/open_campaign.hpp"
#include "experiments/evaluate/evaluator.hpp"
#include "experiments/export/c_design.hpp"
#include "experiments/measure/emulator.hpp"
#include "hwmodels/mcu/plan.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

struct MeasureOptions {
  std::vector<TrialId> ids;
  bool pareto = false;
  std::string network;
  std::string board;
  std::string machine;
  std::string keep;
  bool floating_point = false;
  std::int64_t vectors = 2;
};

/// Where projects are built: a folder that stays, or one that goes with this object.
class Workplace {
 public:
  explicit Workplace(const std::string& keep) : temporary_(keep.empty()), folder_(keep) {
    if (temporary_) {
      folder_ = std::filesystem::temp_directory_path() / fmt::format("cosearch_measure_{}", getpid());
    }
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) {
      throw ConfigError("--keep", fmt::format("\"{}\" cannot be made: {}; expected a directory that can be written",
                                              folder_.string(), error.message()));
    }
  }
  ~Workplace() {
    if (temporary_) {
      std::error_code ignored;
      std::filesystem::remove_all(folder_, ignored);
    }
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  [[nodiscard]] std::string folder(const std::string& name) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path);
    return path.string();
  }

 private:
  bool temporary_;
  std::filesystem::path folder_;
};

/// QEMU has no machine for some cores; the nearest one runs the same instructions.
std::string machine_of(const std::optional<mcu::Board>& board) {
  if (!board) {
    return "cortex-m4";
  }
  std::string name = board->core;
  std::replace(name.begin(), name.end(), '_', '-');
  const auto machines = emulated_machines();
  if (std::any_of(machines.begin(), machines.end(), [&](const EmulatedMachine& m) { return m.name == name; })) {
    return name;
  }
  return name == "cortex-m0plus" ? "cortex-m3" : name == "cortex-m85" ? "cortex-m55" : "cortex-m4";
}

/// One network on one machine.
struct Measurement {
  std::string name;
  std::string machine;
  std::string made_to_fit;
  std::int64_t planned_bytes = 0;
  EmulatorReport report;
};

Measurement measure(const DesignSource& part, const c_export::Choice& choice, const std::string& machine,
                    const Workplace& place) {
  const auto& [source, data] = part;
  const Expected<c_export::NetworkProject, Infeasible> made =
      c_export::NetworkProject::make(source, choice, data.get());
  if (!made) {
    throw NoFeasible(fmt::format("{}: {}", source.name, made.error().reason));
  }
  const std::string folder = place.folder(source.name);
  static_cast<void>(c_export::write_project(made->project(), folder));
  return {source.name, machine, mcu::describe(made->options()), made->project().plan.bytes,
          run_in_emulator(folder, machine)};
}

Records records_of(const std::vector<Measurement>& measurements) {
  Records records{"measurements",
                  {"network", "machine", "instructions", "arena_bytes", "planned_arena_bytes", "stack_bytes",
                   "code_bytes", "weight_bytes", "vectors", "passed", "made_to_fit"},
                  {}};
  for (const Measurement& m : measurements) {
    records.rows.push_back({m.name, m.machine, m.report.instructions, m.report.arena_bytes, m.planned_bytes,
                            m.report.stack_bytes, m.report.code_bytes, m.report.weight_bytes, m.report.vectors,
                            m.report.passed, m.made_to_fit});
  }
  return records;
}

/// Of the networks of a candidate and their tasks, which run one after the other.
Metrics metrics_of(const std::vector<Measurement>& measurements) {
  Metrics metrics;
  for (const Measurement& m : measurements) {
    metrics["measured_instructions"] += static_cast<double>(m.report.instructions);
    double& arena = metrics["measured_arena_bytes"];
    arena = std::max(arena, static_cast<double>(m.report.arena_bytes));
    double& stack = metrics["measured_stack_bytes"];
    stack = std::max(stack, static_cast<double>(m.report.stack_bytes));
  }
  return metrics;
}

int finish(CommandLine& line, const std::vector<Measurement>& measurements) {
  print(line.out, line.options.format, records_of(measurements));
  std::string wrong;
  for (const Measurement& m : measurements) {
    for (const std::string& mismatch : m.report.mismatches) {
      wrong += (wrong.empty() ? "" : "; ") + m.name + ": " + mismatch;
    }
  }
  if (!wrong.empty()) {
    throw std::runtime_error("outputs differ from the reference: " + wrong);
  }
  return 0;
}

int measure_network(CommandLine& line, const MeasureOptions& options, const Workplace& place) {
  const DesignFile file = load_design(options.network);
  Hardware hardware = file.hardware.value_or(Hardware{});
  if (!options.board.empty()) {
    hardware = {"cortex_m", nlohmann::json::object(), {{"board", options.board}}};
  }
  c_export::Choice choice = c_choice(hardware, line.options.data_directory);
  choice.floating_point = options.floating_point;
  choice.test_vectors = options.vectors;
  std::vector<Measurement> measurements;
  for (std::size_t i = 0; i < file.networks.size(); ++i) {
    for (const DesignSource& part : untrained_sources(file.networks[i], fmt::format("network_{}", i))) {
      measurements.push_back(
          measure(part, choice, options.machine.empty() ? machine_of(choice.board) : options.machine, place));
    }
  }
  return finish(line, measurements);
}

int measure_trials(CommandLine& line, const MeasureOptions& options, const Workplace& place) {
  OpenCampaign open(line.options);
  const std::vector<TrialRow> rows = chosen_trials(open, options.pareto, options.ids);
  const Evaluator evaluator(open.campaign, open.space, {}, open.store);
  const std::vector<FinalRow> finals = open.store.finals(open.row.id);
  std::optional<CampaignData> data;
  std::vector<Measurement> all;
  for (const TrialRow& row : rows) {
    Design design = make_design(open.campaign, open.space, evaluator, row, finals);
    design.data_directory = line.options.data_directory;
    const bool trained = !design.weights_path.empty();
    if (trained && !data) {
      data = load_campaign_data(open.campaign);
    }
    design.data = [&data] { return *data; };
    c_export::Choice choice = c_choice(design.hardware, line.options.data_directory);
    choice.floating_point = options.floating_point;
    choice.test_vectors = options.vectors;
    std::vector<Measurement> own;
    for (const DesignSource& part : c_sources(design, options.floating_point, true)) {
      own.push_back(measure(part, choice, options.machine.empty() ? machine_of(choice.board) : options.machine, place));
    }
    // Each candidate's figures are stored when they are known: a later one may fail.
    Store::open_writer(line.options.needed_database()).add_metrics(open.row.id, row.id, metrics_of(own));
    all.insert(all.end(), own.begin(), own.end());
  }
  return finish(line, all);
}

int measure_designs(CommandLine& line, const MeasureOptions& options) {
  const int ways = (options.pareto ? 1 : 0) + (options.ids.empty() ? 0 : 1) + (options.network.empty() ? 0 : 1);
  if (ways != 1) {
    throw ConfigError("measure", "needs one of --pareto, --id N and --network NAME");
  }
  if (!options.board.empty() && options.network.empty()) {
    throw ConfigError("--board", "is for --network; a trial runs on its own board");
  }
  const Workplace place(options.keep);
  return options.network.empty() ? measure_trials(line, options, place) : measure_network(line, options, place);
}

}  // namespace

void add_measure_command(const Command& program, CommandLine& line) {
  const Command command = program.command(
      "measure",
      "export designs as C, build them and run them in an emulator; instructions, arena and stack go to the store");
  const auto options = std::make_shared<MeasureOptions>();
  command.flag("--pareto", options->pareto, "all of the Pareto front");
  command.option("--id", options->ids, "these trials").in(std::int64_t{0}, std::int64_t{1} << 53);
  command.option("--network", options->network,
                 "a network of `networks list` or a file, with random weights; nothing is stored");
  command.option("--board", options->board, "board of cortex_m whose memory it must fit (with --network)");
  std::vector<std::string> machines;
  for (const EmulatedMachine& machine : emulated_machines()) {
    machines.emplace_back(machine.name);
  }
  command.option("--machine", options->machine, "by default that of the board's core").one_of(machines);
  command.option("--keep", options->keep, "directory for the projects; by default they are removed");
  command.flag("--fp32", options->floating_point, "floating point in place of int8");
  command.option("--vectors", options->vectors, "test vectors, each compared with the reference bit by bit")
      .in(std::int64_t{1}, std::int64_t{10'000});
  command.runs(line, [&line, options] { return measure_designs(line, *options); });
}

}  // namespace cosearch::cli
