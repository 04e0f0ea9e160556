#include "experiments/cli/estimate_workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "experiments/cli/cost_report.hpp"
#include "experiments/cli/pass_report.hpp"
#include "experiments/cli/setting.hpp"
#include "experiments/config/json_file.hpp"
#include "hwmodels/asic/accelerator.hpp"
#include "hwmodels/asic/dataflow.hpp"
#include "hwmodels/asic/einsum_steps.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/ir/passes.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::map<std::string, std::int64_t> read_sizes(const std::vector<std::string>& settings) {
  std::map<std::string, std::int64_t> sizes;
  for (const std::string& text : settings) {
    const Setting setting = parse_setting(text);
    if (!setting.value.is_number_integer()) {
      throw ConfigError("--set", fmt::format("read \"{}\"; expected SIZE=NUMBER, e.g. M=65536", text));
    }
    sizes[setting.name] = setting.value.get<std::int64_t>();
  }
  return sizes;
}

/// A file, or `cascade:NAME` of the library.
ir::Workload read_workload(const std::string& path, const std::vector<std::string>& settings) {
  constexpr std::string_view kLibrary = "cascade:";
  const std::map<std::string, std::int64_t> sizes = read_sizes(settings);
  if (path.starts_with(kLibrary)) {
    return cascade::cascade(path.substr(kLibrary.size()), sizes);
  }
  const std::string text = read_text_file(path);
  try {
    return ir::parse_workload(text, sizes);
  } catch (const ConfigError& error) {
    throw error.in_file(path);
  }
}

asic::Arch read_architecture(const std::string& name, const std::string& data_directory) {
  const bool is_file = name.find('/') != std::string::npos || name.ends_with(".json");
  if (!is_file) {
    return asic::load_arch(name, data_directory);
  }
  const json value = read_json_file(name);
  return asic::read_arch(JsonReader(value, "", name));
}

/// The nests of a mapping file by einsum; the text of each keeps its lines' numbers.
std::map<std::string, std::string> split_mappings(const std::string& text, const ir::Workload& workload,
                                                  const std::string& path) {
  std::map<std::string, std::string> nests;
  std::istringstream lines(text);
  std::string line;
  std::string* current = nullptr;
  std::string before;  // line breaks in place of the lines above
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string keyword;
    std::string name;
    words >> keyword;
    if (keyword == "einsum" && words >> name) {
      const bool known = std::any_of(workload.einsums.begin(), workload.einsums.end(),
                                     [&](const ir::Einsum& einsum) { return einsum.name == name; });
      if (!known) {
        throw ConfigError("", fmt::format("einsum {} is none of the workload's", name), path);
      }
      before += "\n";
      current = &(nests[name] = before);
      continue;
    }
    if (current == nullptr && !keyword.empty() && keyword[0] != '#') {
      if (workload.einsums.size() != 1) {
        throw ConfigError("", "read a nest before a line `einsum NAME`; the workload has several einsums", path);
      }
      current = &(nests[workload.einsums[0].name] = before);
    }
    if (current != nullptr) {
      *current += line + "\n";
    }
    before += "\n";
  }
  return nests;
}

std::map<std::string, asic::LoopNest> read_nests(const std::string& path, const ir::Workload& workload,
                                                 const asic::Arch& arch) {
  std::map<std::string, asic::LoopNest> nests;
  if (path.empty()) {
    return nests;
  }
  for (const auto& [name, text] : split_mappings(read_text_file(path), workload, path)) {
    const auto einsum = std::find_if(workload.einsums.begin(), workload.einsums.end(),
                                     [&, &wanted = name](const ir::Einsum& other) { return other.name == wanted; });
    try {
      nests[name] = asic::parse_nest(text, workload, asic::one_step(workload, *einsum), arch);
    } catch (const ConfigError& error) {
      throw error.in_file(path);
    }
  }
  return nests;
}

ordered_json levels_json(const asic::MappedEinsum& mapped, const std::vector<asic::EinsumTensor>& tensors,
                         const asic::Arch& arch) {
  ordered_json levels = ordered_json::array();
  for (std::size_t level = 0; level < arch.levels.size(); ++level) {
    ordered_json entries = ordered_json::array();
    for (std::size_t tensor = 0; tensor < tensors.size(); ++tensor) {
      const asic::TensorTraffic& traffic = mapped.counts.levels[level].tensors[tensor];
      if (mapped.nest.levels[level].keeps(static_cast<int>(tensor))) {
        entries.push_back({{"name", tensors[tensor].name},
                           {"tile", traffic.tile},
                           {"reads", traffic.reads},
                           {"fills", traffic.fills},
                           {"updates", traffic.updates},
                           {"delivered", traffic.delivered},
                           {"temporal_reductions", traffic.temporal_reductions},
                           {"spatial_reductions", traffic.spatial_reductions},
                           {"energy_pj", mapped.price.access_pj[level][tensor]}});
      }
    }
    levels.push_back({{"name", arch.levels[level].name},
                      {"instances", mapped.counts.levels[level].instances},
                      {"words", mapped.counts.levels[level].words},
                      {"cycles", mapped.counts.levels[level].cycles},
                      {"tensors", std::move(entries)}});
  }
  return levels;
}

/// How one step of a product runs.
void add_mapping(const asic::MappedEinsum& mapped, const ir::Workload& workload, const ir::Einsum& einsum,
                 const asic::Arch& arch, ordered_json& result) {
  result["mac_instances"] = mapped.counts.mac_instances;
  result["compute_cycles"] = mapped.counts.compute_cycles;
  result["mac_pj"] = mapped.price.mac_pj;
  result["reduction_pj"] = mapped.price.reduction_pj;
  result["network_pj"] = mapped.price.network_pj;
  result["static_pj"] = mapped.price.static_pj;
  result["mapping"] = asic::to_text(mapped.nest, workload, einsum, arch);
  result["levels"] = levels_json(mapped, asic::einsum_tensors(workload, einsum), arch);
  if (mapped.evaluations > 0) {
    result["search"] = {{"evaluations", mapped.evaluations},
                        {"stopped", to_string(mapped.stop)},
                        {"value", mapped.value},
                        {"lower_bound", mapped.lower_bound}};
  }
}

/// Over all steps; the mapping is that of one.
ordered_json einsum_json(const asic::EinsumCost& cost, const ir::Workload& workload, const ir::Einsum& einsum,
                         const asic::Arch& arch) {
  const LayerCost& layer = cost.layer;
  ordered_json result{{"einsum", layer.name},
                      {"kind", layer.kind},
                      {"steps", cost.steps},
                      {"macs", layer.macs},
                      {"cycles", json_number(layer.cycles)},
                      {"energy_uj", json_number(layer.energy_uj)},
                      {"traffic_bytes", json_number(layer.traffic_bytes)},
                      {"bound", layer.bound}};
  for (const auto& [name, value] : layer.parts) {
    result["parts"][name] = json_number(value);
  }
  if (cost.mapped) {
    add_mapping(*cost.mapped, workload, asic::one_step(workload, einsum), arch, result);
  }
  return result;
}

LayerCost total_of(const std::vector<asic::EinsumCost>& costs) {
  LayerCost total;
  for (const asic::EinsumCost& cost : costs) {
    total.macs += cost.layer.macs;
    total.cycles += cost.layer.cycles;
    total.latency_ms += cost.layer.latency_ms;
    total.energy_uj += cost.layer.energy_uj;
    total.traffic_bytes += cost.layer.traffic_bytes;
  }
  return total;
}

asic::MapOptions map_options(const WorkloadOptions& options) {
  asic::MapOptions result;
  result.objective = options.objective == "latency"  ? asic::MapObjective::latency
                     : options.objective == "energy" ? asic::MapObjective::energy
                                                     : asic::MapObjective::edp;
  result.evaluations = options.evaluations;
  result.footprint = options.hull ? ir::FootprintKind::hull : ir::FootprintKind::exact;
  return result;
}

std::optional<asic::Dataflow> find_dataflow(const std::string& name, const std::string& data_directory) {
  if (name.empty()) {
    return std::nullopt;
  }
  std::vector<std::string> known;
  for (asic::Dataflow& dataflow : asic::load_dataflows(data_directory)) {
    if (dataflow.name == name) {
      return std::move(dataflow);
    }
    known.push_back(dataflow.name);
  }
  throw ConfigError("--dataflow", unknown_name(name, known));
}

void print_text(Output& out, const asic::Accelerator& chip, const ir::Workload& workload,
                const std::vector<asic::EinsumCost>& costs) {
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const LayerCost& layer = costs[i].layer;
    out.write(fmt::format("{} ({}): {:.10g} cycles at {:.1f} % of {} multiply-accumulates a cycle, {:.6g} uJ, {}\n",
                          layer.name, layer.kind, layer.cycles, 100.0 * layer.utilization, chip.arch().macs.size(),
                          layer.energy_uj, layer.bound));
    out.write(chip.describe(workload, i, costs[i]) + "\n");
  }
  const LayerCost total = total_of(costs);
  out.write(
      fmt::format("total: {:.10g} cycles ({:.6g} ms), {:.6g} uJ, {} multiply-accumulates, {:.10g} bytes outside\n",
                  total.cycles, total.latency_ms, total.energy_uj, total.macs, total.traffic_bytes));
}

void print_csv(Output& out, const std::vector<asic::EinsumCost>& costs) {
  Records records{"einsums", {"einsum", "kind", "steps", "macs", "cycles", "energy_uj", "traffic_bytes", "bound"}, {}};
  const auto add = [&](const std::string& name, const LayerCost& layer, const json& steps) {
    records.rows.push_back({name, layer.kind, steps, layer.macs, json_number(layer.cycles),
                            json_number(layer.energy_uj), json_number(layer.traffic_bytes), layer.bound});
  };
  for (const asic::EinsumCost& cost : costs) {
    add(cost.layer.name, cost.layer, cost.steps);
  }
  add("total", total_of(costs), nullptr);
  print(out, Format::csv, records);
}

ordered_json document(const asic::Accelerator& chip, const ir::Workload& workload,
                      const std::vector<asic::EinsumCost>& costs) {
  ordered_json einsums = ordered_json::array();
  for (std::size_t i = 0; i < costs.size(); ++i) {
    einsums.push_back(einsum_json(costs[i], workload, workload.einsums[i], chip.arch()));
  }
  const LayerCost total = total_of(costs);
  ordered_json shown = versioned();
  shown["arch"] = chip.arch().name;
  shown["area_mm2"] = chip.area_mm2();
  shown["feasible"] = true;
  shown["einsums"] = std::move(einsums);
  shown["total"] = {{"macs", total.macs},
                    {"cycles", json_number(total.cycles)},
                    {"latency_ms", json_number(total.latency_ms)},
                    {"energy_uj", json_number(total.energy_uj)},
                    {"traffic_bytes", json_number(total.traffic_bytes)}};
  return shown;
}

int print_obstacle(CommandLine& line, const Infeasible& obstacle) {
  if (line.options.format == Format::table || line.options.format == Format::csv) {
    print_infeasible(line.out, obstacle);
  } else {
    ordered_json shown = versioned();
    shown["feasible"] = false;
    shown.update(to_json(obstacle));
    print(line.out, line.options.format, shown);
  }
  return 3;
}

}  // namespace

int estimate_workload(CommandLine& line, const WorkloadOptions& options) {
  const std::string& data = line.options.data_directory;
  const ir::Workload workload = read_workload(options.workload, options.settings);
  if (options.arch.empty()) {
    print_workload(line, workload);
    return 0;
  }
  if (options.explain && line.options.format == Format::table) {
    line.out.write(ir::describe_passes(workload) + "\n");
  }
  const asic::Arch arch = read_architecture(options.arch, data);
  const asic::PriceTable table = asic::load_price_table(options.energy_table, data);
  const std::map<std::string, asic::LoopNest> nests = read_nests(options.mapping, workload, arch);
  const asic::RunOptions run{map_options(options), nests.empty(), true};
  const asic::Accelerator chip(arch, table, find_dataflow(options.dataflow, data), run,
                               std::make_shared<asic::MapMemo>());
  const Expected<std::vector<asic::EinsumCost>, Infeasible> costs = chip.run_einsums(workload, nests);
  if (!costs) {
    return print_obstacle(line, costs.error());
  }
  switch (line.options.format) {
    case Format::table:
      print_text(line.out, chip, workload, *costs);
      break;
    case Format::csv:
      print_csv(line.out, *costs);
      break;
    case Format::json:
    case Format::jsonl: {
      ordered_json shown = document(chip, workload, *costs);
      if (options.explain) {
        shown["dimensions"] = passes_json(workload);
      }
      print(line.out, line.options.format, shown);
      break;
    }
  }
  return 0;
}

}  // namespace cosearch::cli
