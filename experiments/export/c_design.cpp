#include "experiments/export/c_design.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "experiments/store/store.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch {
namespace {

/// The tensors of one network, whose names begin with `prefix` in the file.
WeightStore weights_of(const graph::NetworkGraph& network, const std::string& prefix,
                       const std::map<std::string, StoredTensor>& tensors, const std::string& path) {
  WeightStore store;
  for (const graph::WeightSpec& spec : graph::weights(network)) {
    const auto found = tensors.find(prefix + spec.name);
    if (found == tensors.end() || found->second.shape != spec.shape()) {
      throw std::runtime_error(fmt::format("{}: has no tensor {} of the network's shape", path, prefix + spec.name));
    }
    store.insert({spec, found->second.values});
  }
  return store;
}

/// Ranges that the final stage has left of a task of network `index`; empty where it has not quantised.
std::vector<quantize::ValueRange> stored_ranges(const std::map<std::string, std::string>& metadata,
                                                const Design& design, std::size_t index, std::size_t task) {
  const auto found = metadata.find("ranges");
  if (found == metadata.end()) {
    return {};
  }
  const nlohmann::json ranges = nlohmann::json::parse(found->second);
  const nlohmann::json& own = design.networks.size() == 1 ? ranges : ranges.at(index);
  return own.empty() ? std::vector<quantize::ValueRange>{}
                     : quantize::task_ranges_from_json(own, task, design.networks[index].outputs.size());
}

/// Of one network, or of one of its tasks.
std::string project_name(const Design& design, std::size_t index, std::size_t task) {
  std::string name = fmt::format("trial_{:06}", design.trial);
  if (design.networks.size() > 1) {
    name += "_" + design.network_names.at(index);
  }
  return design.networks[index].outputs.size() == 1 ? name : name + "_" + design.task_names.at(index).at(task);
}

/// What the final stage has left of a design.
struct Trained {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
  CampaignData data;
};

/// `task_network`: what the network `index` of the design runs for `task`.
DesignSource trained_source(const Design& design, const Trained& trained, std::size_t index, std::size_t task,
                            const graph::NetworkGraph& task_network, bool floating_point) {
  const NetworkData& data = trained.data.at(index);
  const std::string& name = design.network_names.at(index);
  DesignSource made{{project_name(design, index, task),
                     task_network,
                     weights_of(task_network, name.empty() ? "" : name + ".", trained.tensors, design.weights_path),
                     {}},
                    data.tasks.empty() ? data.data : data.tasks.at(task).data};
  if (!floating_point) {
    made.source.ranges = stored_ranges(trained.metadata, design, index, task);
    if (made.source.ranges.empty()) {
      made.source.ranges = quantize::observe_ranges(task_network, made.source.weights, *made.data, {});
    }
  }
  return made;
}

std::vector<std::string> write(const Design& design, bool floating_point, const std::string& directory) {
  c_export::Choice choice = c_choice(design.hardware, design.data_directory);
  choice.floating_point = floating_point;
  std::vector<std::string> files;
  for (const auto& [source, data] : c_sources(design, floating_point, false)) {
    const Expected<c_export::NetworkProject, Infeasible> made =
        c_export::NetworkProject::make(source, choice, data.get());
    if (!made) {
      throw StoreError(4, fmt::format("trial {} cannot be exported as C: {}", design.trial, made.error().reason));
    }
    const std::string folder = directory + "/" + source.name;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
      throw std::runtime_error(fmt::format("{}: cannot be made: {}", folder, error.message()));
    }
    for (const std::string& file : c_export::write_project(made->project(), folder)) {
      files.push_back(source.name + "/" + file);
    }
  }
  return files;
}

}  // namespace

std::vector<DesignSource> c_sources(const Design& design, bool floating_point, bool untrained) {
  Trained trained;
  if (!design.weights_path.empty()) {
    trained.tensors = read_safetensors(design.weights_path, &trained.metadata);
    trained.data = design.data();
  } else if (!untrained) {
    throw StoreError(4, fmt::format("trial {} cannot be exported as C: it has no weights; the final stage trains the "
                                    "first of the front, see final/top in the config",
                                    design.trial));
  }
  std::vector<DesignSource> sources;
  for (std::size_t i = 0; i < design.networks.size(); ++i) {
    const std::vector<graph::NetworkGraph> networks = graph::task_networks(design.networks[i]);
    for (std::size_t task = 0; task < networks.size(); ++task) {
      sources.push_back(
          !trained.data.empty()
              ? trained_source(design, trained, i, task, networks[task], floating_point)
              : DesignSource{c_export::untrained(project_name(design, i, task), networks[task], 0), nullptr});
    }
  }
  return sources;
}

std::vector<DesignSource> untrained_sources(const graph::NetworkGraph& network, const std::string& name) {
  const std::string stem = network.name.empty() ? name : network.name;
  const std::vector<graph::NetworkGraph> networks = graph::task_networks(network);
  std::vector<DesignSource> sources;
  for (std::size_t task = 0; task < networks.size(); ++task) {
    const std::string part = networks.size() == 1 ? stem : fmt::format("{}_task{}", stem, task);
    sources.push_back({c_export::untrained(part, networks[task], 0), nullptr});
  }
  return sources;
}

c_export::Choice c_choice(const Hardware& hardware, const std::string& data_directory) {
  c_export::Choice choice;
  if (hardware.target != "cortex_m" || !hardware.genes.contains("board")) {
    return choice;
  }
  const std::string name = hardware.genes.at("board").get<std::string>();
  const std::vector<mcu::Board> boards = mcu::load_boards(data_directory);
  const auto board = std::find_if(boards.begin(), boards.end(), [&](const mcu::Board& b) { return b.name == name; });
  if (board == boards.end()) {
    std::vector<std::string> names;
    for (const mcu::Board& known : boards) {
      names.push_back(known.name);
    }
    throw ConfigError("--board", fmt::format("\"{}\" is not known; known: {}", name, fmt::join(names, ", ")));
  }
  choice.board = *board;
  // What the rest of the firmware needs is not the network's.
  choice.board->sram_bytes -= hardware.options.value("reserved_sram_bytes", std::int64_t{0});
  choice.board->flash_bytes -= hardware.options.value("reserved_flash_bytes", std::int64_t{0});
  choice.streamed_input = hardware.options.value("input", "resident") == "streamed";
  const std::string weights = hardware.options.value("weights", "board");
  if (weights != "board") {
    choice.board->weights_in_sram = weights == "sram";
  }
  return choice;
}

std::vector<std::string> write_c(const Design& design, const std::string& directory) {
  return write(design, false, directory);
}

std::vector<std::string> write_c_fp32(const Design& design, const std::string& directory) {
  return write(design, true, directory);
}

}  // namespace cosearch
