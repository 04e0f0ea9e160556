#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "experiments/cli/arguments.hpp"
#include "experiments/cli/command_line.hpp"
#include "experiments/cli/cost_report.hpp"
#include "experiments/cli/energy_picture.hpp"
#include "experiments/cli/estimate_workload.hpp"
#include "experiments/cli/setting.hpp"
#include "experiments/config/data_types.hpp"
#include "experiments/config/json_file.hpp"
#include "experiments/config/section.hpp"
#include "experiments/evaluate/network_jobs.hpp"
#include "experiments/export/design.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/catalog/mcunet_import.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct EstimateOptions {
  std::string network;
  std::string target;
  std::vector<std::string> settings;
  std::vector<std::string> target_options;
  std::optional<std::int64_t> batch;
  std::optional<std::int64_t> resolution;
  std::string types;
  bool explain = false;
  std::string picture;
  WorkloadOptions by_hand;
};

/// `clock_mhz` stands for the knob of that name that the other settings make active, e.g. `l4r5.clock_mhz`.
std::string full_name(const ParamSet& params, const json& genes, const std::string& name) {
  if (params.find(name)) {
    return name;
  }
  const Genome genome = params.from_json(genes);
  std::vector<std::string> active;
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (params.params()[i].name.ends_with("." + name) && params.active(i, genome)) {
      active.push_back(params.params()[i].name);
    }
  }
  return active.size() == 1 ? active.front() : name;
}

/// `genes` with the settings in place of its values. Genes that the settings make inactive fall away: a file's clock
/// belongs to the file's board.
json with_settings(const ParamSet& params, const json& genes, const std::vector<std::string>& texts) {
  json full = json::object();
  std::vector<Setting> others;
  for (const std::string& text : texts) {
    Setting setting = parse_setting(text);
    if (params.find(setting.name)) {
      full[setting.name] = std::move(setting.value);
    } else {
      others.push_back(std::move(setting));
    }
  }
  json merged = json::object();
  for (std::size_t i = 0; i < params.size(); ++i) {
    const std::string& name = params.params()[i].name;
    if (full.contains(name)) {
      merged[name] = full.at(name);
    } else if (genes.contains(name) && params.active(i, params.from_json(merged))) {
      merged[name] = genes.at(name);
    }
  }
  for (Setting& setting : others) {
    merged[full_name(params, merged, setting.name)] = std::move(setting.value);
  }
  return merged;
}

std::vector<std::string> names_of(const DesignFile& design) {
  std::vector<std::string> names;
  for (const graph::NetworkGraph& network : design.networks) {
    names.push_back(network.name);
  }
  return names;
}

ordered_json document(const DesignFile& design, const Expected<Cost, Infeasible>& cost,
                      const std::vector<std::string>& explanations) {
  ordered_json shown = versioned();
  if (design.networks.size() == 1) {
    shown["network"] = design.networks.front().name;
  } else {
    shown["networks"] = names_of(design);
  }
  shown["hardware"] = {
      {"target", design.hardware->target}, {"options", design.hardware->options}, {"genes", design.hardware->genes}};
  shown["job"] = {{"batch", design.job->batch}, {"types", design.job->types}};
  shown["feasible"] = cost.has_value();
  if (cost) {
    shown.update(to_json(*cost));
    for (std::size_t i = 0; i < explanations.size(); ++i) {
      shown["layers"][i]["explanation"] = explanations[i];
    }
  } else {
    shown.update(to_json(cost.error()));
  }
  return shown;
}

void print_heading(Output& out, const DesignFile& design) {
  std::string genes;
  for (const auto& [name, value] : design.hardware->genes.items()) {
    genes += fmt::format(" {}={}", name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  out.write(fmt::format("{} on {}{}, batch {}, {}\n\n", fmt::join(names_of(design), " and "), design.hardware->target,
                        genes, design.job->batch, design.job->types));
}

/// The file's hardware and job, with what the flags say instead.
DesignFile chosen_design(const EstimateOptions& options) {
  DesignFile design = load_design(options.network, options.resolution);
  if (!options.target.empty() && (!design.hardware || design.hardware->target != options.target)) {
    design.hardware = Hardware{options.target};
  }
  if (!design.hardware) {
    throw ConfigError("--target", "is missing; expected a target's name, see cosearch targets list");
  }
  for (const std::string& text : options.target_options) {
    Setting option = parse_target_option(text);
    design.hardware->options[option.name] = std::move(option.value);
  }
  if (!design.job) {
    design.job = JobSettings{};
  }
  design.job->batch = options.batch.value_or(design.job->batch);
  design.job->types = options.types.empty() ? design.job->types : options.types;
  return design;
}

struct Answer {
  Expected<Cost, Infeasible> cost;
  std::vector<std::string> explanations;  ///< by layer
  std::string picture;                    ///< the model's own, if it has one
};

Answer price(const Target& target, const DesignFile& design, const EstimateOptions& options) {
  Expected<std::unique_ptr<const Model>, Infeasible> model =
      target.build(target.params().from_json(design.hardware->genes));
  if (!model) {
    return {Unexpected{std::move(model).error()}, {}, {}};
  }
  const std::vector<Job> jobs = network_jobs(
      design.networks, {.model = {}, .batch = design.job->batch, .types = data_types(design.job->types, "--types")},
      design.routing);
  Answer answer{(*model)->evaluate(jobs), {}, {}};
  if (answer.cost && options.explain) {
    answer.explanations = (*model)->explain(jobs);
  }
  if (answer.cost && !options.picture.empty()) {
    answer.picture = (*model)->picture(jobs);
  }
  return answer;
}

/// What runs how, layer by layer; energies by component where the model tells them.
void print_explanations(Output& out, const Cost& cost, const std::vector<std::string>& explanations) {
  for (std::size_t i = 0; i < cost.layers.size(); ++i) {
    const LayerCost& layer = cost.layers[i];
    out.write(fmt::format("\n== {} ({}): {:.6g} cycles, {:.6g} uJ, {}\n", layer.name, layer.kind, layer.cycles,
                          layer.energy_uj, layer.bound));
    for (const auto& [name, value] : layer.parts) {
      if (value > 0.0) {
        out.write(fmt::format("  {} {:.6g}\n", name, value));
      }
    }
    out.write(i < explanations.size() ? explanations[i] : "");
  }
}

void write_picture(const std::string& path, const DesignFile& design, const Cost& cost, const std::string& own) {
  const std::string picture =
      own.empty()
          ? energy_svg(cost, fmt::format("{} on {}", fmt::join(names_of(design), ", "), design.hardware->target))
          : own;
  if (picture.empty()) {
    throw ConfigError("--picture", fmt::format("{} tells no energy by component", design.hardware->target));
  }
  write_file_atomically(path, picture);
}

int estimate(CommandLine& line, const EstimateOptions& options) {
  if (!options.by_hand.workload.empty()) {
    WorkloadOptions by_hand = options.by_hand;
    by_hand.settings = options.settings;
    by_hand.explain = options.explain;
    return estimate_workload(line, by_hand);
  }
  if (options.network.empty()) {
    throw ConfigError("--network", "is missing; expected a network, or einsums with --workload");
  }
  DesignFile design = chosen_design(options);
  std::unique_ptr<Target> target;
  try {
    target = make_target(design.hardware->target, design.hardware->options, line.options.data_directory);
  } catch (const ConfigError& error) {
    // What the command line names has a flag for its place, not a config's pointer.
    throw error.place() == "/target/name" ? ConfigError("--target", error.message()) : error;
  }
  static_cast<void>(in_section("/hardware/genes", [&] { return target->params().from_json(design.hardware->genes); }));
  in_section("--set", [&] {
    design.hardware->genes = with_settings(target->params(), design.hardware->genes, options.settings);
    // Written out in full: what was not set has its first value.
    design.hardware->genes = target->params().to_json(target->params().from_json(design.hardware->genes));
    return true;
  });
  const auto& [cost, explanations, picture] = price(*target, design, options);
  if (cost && !options.picture.empty()) {
    write_picture(options.picture, design, *cost, picture);
  }
  switch (line.options.format) {
    case Format::table:
      print_heading(line.out, design);
      if (cost) {
        if (options.explain) {
          print_explanations(line.out, *cost, explanations);
          line.out.write("\n");
        }
        print_cost(line.out, *cost);
      } else {
        print_infeasible(line.out, cost.error());
      }
      break;
    case Format::csv:
      print(line.out, Format::csv, layer_records(cost ? *cost : Cost{}));
      break;
    case Format::json:
    case Format::jsonl:
      print(line.out, line.options.format, document(design, cost, explanations));
      break;
  }
  return cost ? 0 : 3;
}

/// What a user wrote by hand, without a network.
void add_workload_options(const Command& command, const Argument& network, WorkloadOptions& options) {
  const Argument workload = command.option("--workload", options.workload,
                                           "instead of a network: a file of einsums in text form, or cascade:NAME of "
                                           "the library; without --arch its passes are told");
  const Argument arch =
      command.option("--arch", options.arch, "for --workload: a preset, e.g. eyeriss_168, or a .json file");
  workload.excludes(network);
  arch.needs(workload);
  command.option("--mapping", options.mapping, "for --workload: a file of loop nests; the mapper finds the others")
      .needs(arch);
  command.option("--dataflow", options.dataflow, "for --workload: a template that mappings keep to").needs(arch);
  command.option("--objective", options.objective, "for --workload: what mappings are chosen for")
      .one_of({"edp", "energy", "latency"})
      .needs(arch);
  command.option("--energy-table", options.energy_table, "for --workload: a table of hwmodels/data").needs(arch);
  command.option("--evaluations", options.evaluations, "for --workload: nests counted for an einsum, at most")
      .in(std::int64_t{1}, std::int64_t{1'000'000'000})
      .needs(arch);
  command.flag("--hull", options.hull, "for --workload: bounding boxes as footprints, as Timeloop does").needs(arch);
}

}  // namespace

void add_estimate_command(const Command& program, CommandLine& line) {
  const Command command = program.command("estimate", "the cost of one network on one piece of hardware, no search");
  const auto options = std::make_shared<EstimateOptions>();
  const Argument network = command.option("--network", options->network,
                                          "a name of `networks list`, or a .json file: a network, an exported "
                                          "design, or a network description of MCUNet");
  command.option("--target", options->target, "see `targets list`; an exported design has its own");
  command
      .option("--set", options->settings,
              "a knob of the target, e.g. board=l4r5, or a size of the workload, e.g. M=65536; several times")
      .several();
  command
      .option(
          "--option", options->target_options,
          "option of the target, NAME=VALUE; true and false, numbers, texts, @FILE for a file's text; several times")
      .needs(network);
  command.option("--batch", options->batch, "samples of one evaluation").in(1, 65536);
  command
      .option("--resolution", options->resolution,
              "height and width of the input in pixels, for a description of MCUNet; default: the file's")
      .in(std::int64_t{1}, kMostMcunetPixels)
      .needs(network);
  command.option("--types", options->types, "number format").one_of(data_type_names());
  command.flag("--explain", options->explain,
               "how each layer runs: mappings, accesses, energy by component; of a workload also its passes");
  command.option("--picture", options->picture,
                 "an SVG file to write: each layer's energy by component, or a schedule");
  add_workload_options(command, network, options->by_hand);
  command.runs(line, [&line, options] { return estimate(line, *options); });
}

}  // namespace cosearch::cli
