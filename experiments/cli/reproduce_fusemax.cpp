#include "experiments/cli/reproduce_fusemax.hpp"
#include "experiments/cli/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "experiments/cli/table.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/reproduce/fusemax.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

using fusemax::Better;
using fusemax::Experiment;
using fusemax::Means;
using fusemax::Result;
using fusemax::Size;
using nlohmann::ordered_json;

constexpr std::int64_t kKibi = 1024;
constexpr std::int64_t kContributionTokens = 64 * kKibi;
constexpr std::int64_t kSizesTokens = 256 * kKibi;
constexpr const char* kContributionModel = "BERT";

struct FuseMaxArguments {
  attention::DesignOptions options;
  std::string pictures = "results/fusemax";
  bool search = true;
};

std::string genes_text(const attention::DesignGenes& genes) {
  return fmt::format("{} x {} array, {} lanes, {} KiB, softmax on the {}", genes.rows, genes.columns, genes.lanes,
                     genes.buffer_bytes / kKibi, genes.softmax_on_array ? "array" : "lanes");
}

void print_results(Output& out, const std::vector<Result>& results) {
  out.write("== attention of one layer, batch 64; energies relative to FLAT's\n");
  Table table({"model", "tokens", "design", "latency [s]", "over FLAT", "traffic [B]", "array used [%]",
               "lanes used [%]", "energy [J]", "of FLAT's [%]"});
  double flat_seconds = 1.0;
  double flat_energy = 1.0;
  for (const Result& flat : results) {
    if (flat.design != "flat") {
      continue;
    }
    flat_seconds = flat.attention.seconds;
    flat_energy = flat.attention.energy.total();
    for (const Result& result : results) {
      if (result.model != flat.model || result.tokens != flat.tokens) {
        continue;
      }
      const attention::AttentionCost& cost = result.attention;
      table.add_row({result.model, fmt::format("{}Ki", result.tokens / kKibi), result.design,
                     fmt::format("{:.7g}", cost.seconds), fmt::format("{:.2f}", flat_seconds / cost.seconds),
                     fmt::format("{:.6g}", cost.traffic_bytes), fmt::format("{:.2f}", 100.0 * cost.array_utilization),
                     fmt::format("{:.2f}", 100.0 * cost.lane_utilization),
                     fmt::format("{:.5g}", cost.energy.total() * 1e-12),
                     fmt::format("{:.1f}", 100.0 * cost.energy.total() / flat_energy)});
    }
  }
  out.write(table.text());
}

std::vector<std::pair<std::string, std::string>> comparisons() {
  return {{"cascade", "flat"},    {"architecture", "flat"},    {"binding", "flat"},   {"flat", "unfused"},
          {"cascade", "unfused"}, {"architecture", "unfused"}, {"binding", "unfused"}};
}

/// A mean by ours, with the artifact's accesses too many, and by the artifact.
struct ThreeMeans {
  Means ours, counted, theirs;

  [[nodiscard]] std::vector<std::string> row(double Means::*speedup, double Means::*energy) const {
    const auto percent = [energy](const Means& means) { return fmt::format("{:.1f}", 100.0 * means.*energy); };
    return {ours.design,
            ours.against,
            fmt::format("{:.2f}", ours.*speedup),
            fmt::format("{:.2f}", theirs.*speedup),
            percent(ours),
            percent(counted),
            percent(theirs)};
  }
};

/// `as_published`: with the accesses that the artifact's energies have too many.
void print_means(Output& out, const std::vector<Result>& results, const std::vector<Result>& as_published) {
  const auto table = [](const char* what) {
    return Table({what, "against", "speed-up", "artifact", "energy [%]", "with overflow", "artifact"});
  };
  Table attention = table("attention");
  Table layer = table("whole layer");
  for (const auto& [design, against] : comparisons()) {
    const ThreeMeans means{fusemax::means(results, design, against), fusemax::means(as_published, design, against),
                           fusemax::published_means(design, against)};
    attention.add_row(means.row(&Means::attention_speedup, &Means::attention_energy));
    layer.add_row(means.row(&Means::layer_speedup, &Means::layer_energy));
  }
  out.write(
      "\n== means over four models and six lengths, beside those of the artifact's results (FuseMax is `binding`)\n" +
      attention.text() + layer.text());
  out.write(
      "with overflow: plus the reads of the buffer that the artifact counts for long sequences, where a product of 64 "
      "bits wraps in\nTimeloop's count of first writes; no hardware does them. Everything else is without.\n");
}

void print_contribution(Output& out, const std::vector<Result>& results) {
  out.write(fmt::format("\n== what each step contributes: {}, {} Ki tokens, over FLAT (paper: 0.88, 2.24, 7.41)\n",
                        kContributionModel, kContributionTokens / kKibi));
  double flat = 1.0;
  for (const Result& result : results) {
    if (result.model != kContributionModel || result.tokens != kContributionTokens || result.design == "unfused") {
      continue;
    }
    flat = result.design == "flat" ? result.attention.seconds : flat;
    out.write(fmt::format("{:<14} {:.2f}x\n", result.design, flat / result.attention.seconds));
  }
}

void print_sizes(Output& out, const std::vector<Size>& sizes) {
  out.write(fmt::format("\n== FuseMax with arrays of other sizes, {} Ki tokens\n", kSizesTokens / kKibi));
  Table table({"model", "array", "buffer [KiB]", "area [mm2]", "latency [s]"});
  for (const Size& size : sizes) {
    table.add_row({size.model, fmt::format("{0} x {0}", size.size), fmt::format("{}", size.buffer_bytes / kKibi),
                   fmt::format("{:.5g}", size.area_mm2), fmt::format("{:.6g}", size.seconds)});
  }
  out.write(table.text());
}

/// The same comparison under other energies.
ordered_json sensitivity(CommandLine& line, const attention::DesignOptions& options) {
  ordered_json rows = ordered_json::array();
  Table table({"energies", "registers", "of FLAT's, attention [%]", "of unfused [%]", "arithmetic of binding [%]",
               "DRAM of FLAT [%]"});
  for (const char* energies : {"aladdin_45nm", "horowitz_45nm"}) {
    for (const bool complete : {false, true}) {
      attention::DesignOptions each = options;
      each.energy_table = energies;
      each.complete_energy = complete;
      const std::vector<Result> results = Experiment(each, line.options.data_directory).results();
      double arithmetic = 0.0, dram = 0.0, bindings = 0.0, flats = 0.0;
      for (const Result& result : results) {
        const attention::EnergyPj& energy = result.attention.energy;
        if (result.design == "binding") {
          arithmetic += (energy.array_units + energy.lane_units) / energy.total();
          bindings += 1.0;
        } else if (result.design == "flat") {
          dram += energy.dram / energy.total();
          flats += 1.0;
        }
      }
      const double of_flat = fusemax::means(results, "binding", "flat").attention_energy;
      const double of_unfused = fusemax::means(results, "binding", "unfused").attention_energy;
      rows.push_back({{"energy_table", energies},
                      {"all_registers", complete},
                      {"binding_of_flat", of_flat},
                      {"binding_of_unfused", of_unfused},
                      {"arithmetic_share_of_binding", arithmetic / bindings},
                      {"dram_share_of_flat", dram / flats}});
      table.add_row({energies, complete ? "all" : "one", fmt::format("{:.1f}", 100.0 * of_flat),
                     fmt::format("{:.1f}", 100.0 * of_unfused), fmt::format("{:.1f}", 100.0 * arithmetic / bindings),
                     fmt::format("{:.1f}", 100.0 * dram / flats)});
    }
  }
  if (line.options.format == Format::table) {
    line.out.write(
        "\n== what the energy table decides: FuseMax's energy, means as above (registers: of one element, as the "
        "artifact, or of all)\n" +
        table.text());
  }
  return rows;
}

ordered_json better(CommandLine& line, const Experiment& experiment) {
  ordered_json rows = ordered_json::array();
  Table table({"tokens", "published [s]", "found [s]", "faster by [%]", "area [mm2]", "of", "design", "feasible"});
  for (const std::int64_t tokens : {kKibi, kContributionTokens}) {
    const Better best = experiment.better_design(tokens);
    rows.push_back({{"tokens", tokens},
                    {"published_latency_s", best.published_seconds},
                    {"latency_s", best.seconds},
                    {"area_mm2", best.area_mm2},
                    {"published_area_mm2", best.published_area_mm2},
                    {"design", genes_text(best.genes)},
                    {"designs", best.designs},
                    {"feasible", best.feasible}});
    table.add_row({fmt::format("{}Ki", tokens / kKibi), fmt::format("{:.6g}", best.published_seconds),
                   fmt::format("{:.6g}", best.seconds),
                   fmt::format("{:.2f}", 100.0 * (best.published_seconds / best.seconds - 1.0)),
                   fmt::format("{:.5g}", best.area_mm2), fmt::format("{:.5g}", best.published_area_mm2),
                   genes_text(best.genes), fmt::format("{} of {}", best.feasible, best.designs)});
  }
  if (line.options.format == Format::table) {
    line.out.write(
        "\n== the fastest design of no more area for attention of BERT, by enumeration under the same model\n" +
        table.text());
  }
  return rows;
}

ordered_json to_json(const std::vector<Result>& results, const std::vector<Result>& as_published) {
  ordered_json rows = ordered_json::array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result& result = results[i];
    const attention::AttentionCost& cost = result.attention;
    rows.push_back({{"model", result.model},
                    {"tokens", result.tokens},
                    {"design", result.design},
                    {"latency_s", cost.seconds},
                    {"traffic_bytes", cost.traffic_bytes},
                    {"array_utilization", cost.array_utilization},
                    {"lanes_utilization", cost.lane_utilization},
                    {"energy_pj", cost.energy.total()},
                    {"energy_with_overflow_pj", as_published[i].attention.energy.total()},
                    {"linear_latency_s", result.linear.seconds},
                    {"linear_energy_pj", result.linear.energy.total()}});
  }
  return rows;
}

void check_energy_table(const std::string& name, const std::string& data_directory) {
  std::vector<std::string> known;
  for (const auto& entry : attention::load_attention_data(data_directory).energy_tables) {
    known.push_back(entry.first);
  }
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw ConfigError("--energy-table", unknown_name(name, known));
  }
}

int reproduce(CommandLine& line, const FuseMaxArguments& arguments) {
  check_energy_table(arguments.options.energy_table, line.options.data_directory);
  const Experiment experiment(arguments.options, line.options.data_directory);
  const std::vector<Result> results = experiment.results();
  attention::DesignOptions with_overflow = arguments.options;
  with_overflow.timeloop_overflow = true;
  const std::vector<Result> as_published = Experiment(with_overflow, line.options.data_directory).results();
  const std::vector<Size> sizes = experiment.sizes(kSizesTokens);
  const bool text = line.options.format == Format::table;
  if (text) {
    print_results(line.out, results);
    print_means(line.out, results, as_published);
    print_contribution(line.out, results);
    print_sizes(line.out, sizes);
  }
  ordered_json document = versioned();
  document["results"] = to_json(results, as_published);
  document["sensitivity"] = sensitivity(line, arguments.options);
  if (arguments.search) {
    document["better_designs"] = better(line, experiment);
  }
  const std::filesystem::path folder(arguments.pictures);
  std::filesystem::create_directories(folder);
  write_file_atomically((folder / "contribution.svg").string(),
                        fusemax::contribution_svg(results, kContributionModel, kContributionTokens));
  write_file_atomically((folder / "sizes.svg").string(), fusemax::sizes_svg(sizes));
  if (text) {
    line.out.write(fmt::format("\npictures: {0}/contribution.svg, {0}/sizes.svg\n", arguments.pictures));
  } else {
    print(line.out, line.options.format, document);
  }
  return 0;
}

}  // namespace

void add_reproduce_fusemax(const Command& program, CommandLine& line) {
  const Command command = program.command(
      "fusemax", "attention accelerators: unfused, FLAT and the steps to FuseMax on four models and six lengths");
  const auto arguments = std::make_shared<FuseMaxArguments>();
  command.option("--energy-table", arguments->options.energy_table, "of hwmodels/data/attention.json");
  command.flag("--all-registers", arguments->options.complete_energy, "count the registers of all elements");
  command.option("--pictures", arguments->pictures, "folder for the pictures");
  command.flag("!--no-search", arguments->search, "leave out the search for better designs");
  command.runs(line, [&line, arguments] { return reproduce(line, *arguments); });
}

}  // namespace cosearch::cli
