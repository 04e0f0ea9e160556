#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/reproduce_fusemax.hpp"
#include "experiments/cli/reproduce_m3vit.hpp"
#include "experiments/cli/reproduce_mcuformer.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/cli/table.hpp"
#include "experiments/reproduce/nasaic.hpp"
#include "hwmodels/asic/maestro/price.hpp"

namespace cosearch::cli {
namespace {

using nasaic::Outcome;
using nasaic::Way;
using nlohmann::ordered_json;

constexpr Way kWays[] = {Way::nas_then_asic, Way::asic_then_nas, Way::joint_reinforce, Way::joint_nsga2};

struct NasaicArguments {
  std::vector<std::string> workloads;
  int seeds = 3;
  nasaic::Options options;
};

ordered_json to_json(const std::string& workload, const Outcome& outcome) {
  return {{"workload", workload},         {"way", to_string(outcome.way)}, {"seed", outcome.seed},
          {"specs_met", outcome.met},     {"cycles", outcome.cycles},      {"energy_nj", outcome.energy_nj},
          {"area_um2", outcome.area_um2}, {"accuracy", outcome.accuracy},  {"hardware", outcome.hardware},
          {"trained", outcome.trained}};
}

void print_outcomes(Output& out, const nasaic::Workload& workload, const nasaic::Options& options,
                    const std::vector<Outcome>& outcomes) {
  out.write(
      fmt::format("== {}: {}\nspecs: {:.3g} cycles, {:.3g} nJ, {:.3g} um^2 (the paper's, remembered, not read; "
                  "latency and energy times {:g})\n",
                  workload.name, workload.tasks, workload.paper.cycles * options.spec_scale,
                  workload.paper.energy_nj * options.spec_scale, workload.paper.area_um2, options.spec_scale));
  Table table({"way", "seed", "specs", "accuracy", "cycles", "energy [nJ]", "area [um^2]", "trained", "hardware"});
  for (const Outcome& outcome : outcomes) {
    table.add_row({to_string(outcome.way), fmt::format("{}", outcome.seed), outcome.met ? "met" : "violated",
                   outcome.trained > 0 ? fmt::format("{:.4f}", outcome.accuracy) : "-",
                   fmt::format("{:.4g}", outcome.cycles), fmt::format("{:.4g}", outcome.energy_nj),
                   fmt::format("{:.4g}", outcome.area_um2), fmt::format("{}", outcome.trained), outcome.hardware});
  }
  out.write(table.text());
}

struct Mean {
  double cycles = 0.0, energy = 0.0, area = 0.0, accuracy = 0.0;
  int met = 0, runs = 0, trained = 0;
};

Mean mean_of(const std::vector<Outcome>& outcomes, Way way) {
  Mean mean;
  for (const Outcome& outcome : outcomes) {
    if (outcome.way == way) {
      mean.cycles += outcome.cycles;
      mean.energy += outcome.energy_nj;
      mean.area += outcome.area_um2;
      mean.accuracy += outcome.accuracy;  // 0 where nothing within the specs was trained
      mean.trained += outcome.trained > 0 ? 1 : 0;
      mean.met += outcome.met ? 1 : 0;
      ++mean.runs;
    }
  }
  for (double* figure : {&mean.cycles, &mean.energy, &mean.area}) {
    *figure /= std::max(mean.runs, 1);
  }
  mean.accuracy /= std::max(mean.trained, 1);
  return mean;
}

/// What the paper says of the workload beside ours.
void print_comparison(Output& out, const nasaic::Workload& workload, const std::vector<Outcome>& outcomes) {
  const Mean before = mean_of(outcomes, Way::nas_then_asic);
  Table table({"against nas_then_asic, means over seeds", "specs met", "latency less by [%]", "energy / by",
               "area / by", "accuracy lost [points]"});
  if (const auto& paper = workload.gains) {
    table.add_row({paper->source, "yes", fmt::format("{:.2f}", paper->latency_percent),
                   fmt::format("{:.2f}", paper->energy_factor), fmt::format("{:.2f}", paper->area_factor),
                   fmt::format("{:.2f}", paper->accuracy_points)});
  }
  for (const Way way : {Way::asic_then_nas, Way::joint_reinforce, Way::joint_nsga2}) {
    const Mean mean = mean_of(outcomes, way);
    table.add_row({to_string(way), fmt::format("{}/{}", mean.met, mean.runs),
                   fmt::format("{:.2f}", 100.0 * (1.0 - mean.cycles / before.cycles)),
                   fmt::format("{:.2f}", before.energy / mean.energy), fmt::format("{:.2f}", before.area / mean.area),
                   mean.trained > 0 ? fmt::format("{:.2f}", 100.0 * (before.accuracy - mean.accuracy)) : "-"});
  }
  out.write(fmt::format("\nnas_then_asic met the specs with {} of {} seeds\n", before.met, before.runs) + table.text());
  if (!workload.note.empty()) {
    out.write(workload.note + "\n");
  }
}

/// What to know before anybody compares absolute figures.
void print_traps(Output& out, const std::string& data_directory) {
  const maestro::Constants constants = maestro::load_constants("2020", "", data_directory);
  maestro::Constants without = constants;
  without.arbiter_um2 = 0.0;
  const maestro::Array array{2112, 1, 48, 512, 65536};
  const double all = maestro::area_um2(array, constants);
  out.write(fmt::format(
      "\ntraps: {:.0f} % of the area of 2,112 elements is one matrix arbiter, so areas compare squares of elements; a "
      "multiply-accumulate\ncosts {:g} nJ in these constants (pJ would be physical), so energies compare within this "
      "table only; accuracies are those of\nshared weights on other data sets than the paper's\n",
      100.0 * (1.0 - maestro::area_um2(array, without) / all), constants.nj_per_mac));
}

int reproduce_nasaic(CommandLine& line, const NasaicArguments& arguments) {
  const std::filesystem::path database = line.options.database.empty() ? std::filesystem::path("results/nasaic.db")
                                                                       : std::filesystem::path(line.options.database);
  if (database.has_parent_path()) {
    std::filesystem::create_directories(database.parent_path());
  }
  Store store = Store::open_writer(database.string());
  StopSignals signals;
  RunOptions run_options;
  run_options.threads = line.options.threads;
  run_options.data_directory = line.options.data_directory;
  run_options.quiet = line.options.quiet;
  ordered_json all = ordered_json::array();
  for (const nasaic::Workload& workload : nasaic::workloads()) {
    if (std::find(arguments.workloads.begin(), arguments.workloads.end(), workload.name) == arguments.workloads.end()) {
      continue;
    }
    std::vector<Outcome> outcomes;
    for (const Way way : kWays) {
      for (int seed = 1; seed <= arguments.seeds; ++seed) {
        outcomes.push_back(nasaic::run(workload, way, static_cast<std::uint64_t>(seed), arguments.options, store,
                                       run_options, signals.token()));
        if (signals.token().stop_requested()) {
          return signals.exit_code();
        }
        all.push_back(to_json(workload.name, outcomes.back()));
      }
    }
    if (line.options.format == Format::table) {
      print_outcomes(line.out, workload, arguments.options, outcomes);
      print_comparison(line.out, workload, outcomes);
      line.out.write("\n");
      line.out.flush();
    }
  }
  if (line.options.format == Format::table) {
    print_traps(line.out, line.options.data_directory);
    return 0;
  }
  ordered_json document = versioned();
  document["outcomes"] = std::move(all);
  print(line.out, line.options.format, document);
  return 0;
}

}  // namespace

void add_reproduce_command(const Command& program, CommandLine& line) {
  const Command command = program.command("reproduce", "re-enact a published experiment");
  command.needs_command();
  add_reproduce_fusemax(command, line);
  add_reproduce_m3vit(command, line);
  add_reproduce_mcuformer(command, line);
  const Command nasaic = command.command(
      "nasaic",
      "networks for two tasks with two sub-accelerators under specs; --db (results/nasaic.db) keeps the campaigns");
  const auto arguments = std::make_shared<NasaicArguments>();
  arguments->workloads = {"w1"};
  nasaic.option("--workload", arguments->workloads, "w1, w2 or w3; several times").one_of({"w1", "w2", "w3"});
  nasaic.option("--seeds", arguments->seeds, "runs of each way").in(1, 100);
  nasaic.option("--evaluations", arguments->options.evaluations, "designs costed by each way")
      .in(std::int64_t{40}, std::int64_t{1'000'000});
  nasaic.option("--spec-scale", arguments->options.spec_scale, "of the paper's latency and energy").in(0.001, 1000.0);
  nasaic.option("--train-samples", arguments->options.train_samples, "images of an epoch of a classifier's supernet")
      .in(std::int64_t{64}, std::int64_t{1'000'000});
  nasaic.option("--epochs", arguments->options.epochs, "of the supernets").in(std::int64_t{1}, std::int64_t{1000});
  nasaic.runs(line, [&line, arguments] { return reproduce_nasaic(line, *arguments); });
}

}  // namespace cosearch::cli
