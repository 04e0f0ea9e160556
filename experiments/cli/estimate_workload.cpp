#include "experiments/cli/estimate_workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "experiments/cli/cost_report.hpp"
#include "experiments/cli/pass_report.hpp"
#include "experiments/cli/setting.hpp"
#include "experiments/config/json_file.hpp"
#include "hwmodels/asic/accelerator.hpp"
#include "hwmodels/asic/dataflow.hpp"
#include "hwmodels/asic/mapper.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/ir/passes.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !file.good()) {
    throw ConfigError("", "cannot be read", path);
  }
  return text.str();
}

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
  const std::string text = read_text(path);
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

/// A mapping that the user wrote, priced.
Expected<asic::MappedEinsum, Infeasible> by_hand(const ir::Workload& workload, const ir::Einsum& einsum,
                                                 const asic::Arch& arch, const asic::Pricing& pricing,
                                                 const std::string& text, const std::string& path,
                                                 ir::FootprintKind footprint) {
  asic::MappedEinsum mapped;
  try {
    mapped.nest = asic::parse_nest(text, workload, einsum, arch);
  } catch (const ConfigError& error) {
    throw error.in_file(path);
  }
  Expected<asic::Counts, Infeasible> counts = asic::count(workload, einsum, arch, mapped.nest, footprint);
  if (!counts) {
    return Unexpected{std::move(counts).error()};
  }
  mapped.counts = *counts;
  mapped.price = pricing.price(*counts);
  return mapped;
}

ordered_json to_json(const asic::MappedEinsum& mapped, const ir::Workload& workload, const ir::Einsum& einsum,
                     const asic::Arch& arch, bool searched) {
  const std::vector<asic::EinsumTensor> tensors = asic::einsum_tensors(workload, einsum);
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
  ordered_json result{{"einsum", einsum.name},
                      {"macs", mapped.counts.macs},
                      {"mac_instances", mapped.counts.mac_instances},
                      {"compute_cycles", mapped.counts.compute_cycles},
                      {"cycles", mapped.counts.cycles},
                      {"energy_uj", mapped.price.total_pj * 1e-6},
                      {"mac_pj", mapped.price.mac_pj},
                      {"reduction_pj", mapped.price.reduction_pj},
                      {"static_pj", mapped.price.static_pj},
                      {"mapping", asic::to_text(mapped.nest, workload, einsum, arch)},
                      {"levels", std::move(levels)}};
  if (searched) {
    result["search"] = {{"evaluations", mapped.evaluations},
                        {"stopped", to_string(mapped.stop)},
                        {"value", mapped.value},
                        {"lower_bound", mapped.lower_bound}};
  }
  return result;
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

void print_text(Output& out, const asic::MappedEinsum& mapped, const ir::Workload& workload, const ir::Einsum& einsum,
                const asic::Arch& arch, bool searched) {
  out.write(fmt::format("{}: {} cycles at {:.1f} % of {} multiply-accumulates a cycle, {:.6g} uJ\n", einsum.name,
                        mapped.counts.cycles,
                        100.0 * static_cast<double>(mapped.counts.macs) /
                            (static_cast<double>(mapped.counts.cycles) * static_cast<double>(arch.macs.size())),
                        arch.macs.size(), mapped.price.total_pj * 1e-6));
  out.write(asic::describe(mapped, workload, einsum, arch));
  out.write(searched ? asic::describe_search(mapped) + "\n" : "\n");
}

}  // namespace

int estimate_workload(CommandLine& line, const WorkloadOptions& options) {
  const ir::Workload workload = read_workload(options.workload, options.settings);
  if (options.arch.empty()) {
    print_workload(line, workload);
    return 0;
  }
  if (options.explain && line.options.format == Format::table) {
    line.out.write(ir::describe_passes(workload) + "\n");
  }
  const asic::Arch arch = read_architecture(options.arch, line.options.data_directory);
  const asic::Pricing pricing(arch, asic::load_price_table(options.energy_table, line.options.data_directory));
  const std::optional<asic::Dataflow> dataflow = find_dataflow(options.dataflow, line.options.data_directory);
  const std::map<std::string, std::string> nests =
      options.mapping.empty() ? std::map<std::string, std::string>{}
                              : split_mappings(read_text(options.mapping), workload, options.mapping);
  const asic::MapOptions search = map_options(options);
  ordered_json einsums = ordered_json::array();
  for (const ir::Einsum& einsum : workload.einsums) {
    if (const auto tensors = asic::find_einsum_tensors(workload, einsum); !tensors) {
      throw ConfigError(fmt::format("einsum {}", einsum.name), tensors.error(), options.workload);
    }
    const auto nest = nests.find(einsum.name);
    const bool searched = nest == nests.end();
    const Expected<asic::MappedEinsum, Infeasible> mapped =
        searched ? asic::Mapper(workload, einsum, arch, pricing, dataflow ? &*dataflow : nullptr).best(search)
                 : by_hand(workload, einsum, arch, pricing, nest->second, options.mapping, search.footprint);
    if (!mapped) {
      Infeasible reason = mapped.error();
      reason.reason = einsum.name + ": " + reason.reason;
      if (line.options.format == Format::table || line.options.format == Format::csv) {
        print_infeasible(line.out, reason);
      } else {
        ordered_json shown = versioned();
        shown["feasible"] = false;
        shown.update(to_json(reason));
        print(line.out, line.options.format, shown);
      }
      return 3;
    }
    if (line.options.format == Format::table) {
      print_text(line.out, *mapped, workload, einsum, arch, searched);
    }
    einsums.push_back(to_json(*mapped, workload, einsum, arch, searched));
  }
  if (line.options.format == Format::csv) {
    Records records{"einsums", {"einsum", "macs", "compute_cycles", "cycles", "energy_uj"}, {}};
    for (const ordered_json& einsum : einsums) {
      records.rows.push_back({einsum["einsum"], einsum["macs"], einsum["compute_cycles"], einsum["cycles"],
                              json_number(einsum["energy_uj"].get<double>())});
    }
    print(line.out, Format::csv, records);
  } else if (line.options.format != Format::table) {
    ordered_json shown = versioned();
    shown["arch"] = arch.name;
    shown["area_mm2"] = pricing.area_um2() * 1e-6;
    shown["feasible"] = true;
    shown["einsums"] = std::move(einsums);
    if (options.explain) {
      shown["dimensions"] = passes_json(workload);
    }
    print(line.out, line.options.format, shown);
  }
  return 0;
}

}  // namespace cosearch::cli
