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

namespace cosearch {
namespace {

using c_export::Source;

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

/// Ranges that the final stage has left; empty where it has not quantised.
std::vector<quantize::ValueRange> stored_ranges(const std::map<std::string, std::string>& metadata, std::size_t index,
                                                std::size_t networks) {
  const auto found = metadata.find("ranges");
  if (found == metadata.end()) {
    return {};
  }
  const nlohmann::json ranges = nlohmann::json::parse(found->second);
  return quantize::ranges_from_json(networks == 1 ? ranges : ranges.at(index));
}

std::string project_name(const Design& design, std::size_t index) {
  const std::string stem = fmt::format("trial_{:06}", design.trial);
  return design.networks.size() == 1 ? stem : stem + "_" + design.network_names.at(index);
}

std::vector<std::string> write(const Design& design, bool floating_point, const std::string& directory) {
  c_export::Choice choice = c_choice(design.hardware, design.data_directory);
  choice.floating_point = floating_point;
  const CampaignData data = design.data();
  const std::vector<Source> sources = c_sources(design, floating_point, false);
  std::vector<std::string> files;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Expected<c_export::NetworkProject, Infeasible> made =
        c_export::NetworkProject::make(sources[i], choice, data.at(i).images());
    if (!made) {
      throw StoreError(4, fmt::format("trial {} cannot be exported as C: {}", design.trial, made.error().reason));
    }
    const std::string folder = directory + "/" + sources[i].name;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
      throw std::runtime_error(fmt::format("{}: cannot be made: {}", folder, error.message()));
    }
    for (const std::string& file : c_export::write_project(made->project(), folder)) {
      files.push_back(sources[i].name + "/" + file);
    }
  }
  return files;
}

}  // namespace

std::vector<Source> c_sources(const Design& design, bool floating_point, bool untrained) {
  std::vector<Source> sources;
  if (design.weights_path.empty()) {
    if (!untrained) {
      throw StoreError(4, fmt::format("trial {} cannot be exported as C: it has no weights; the final stage trains the "
                                      "first of the front, see final/top in the config",
                                      design.trial));
    }
    for (std::size_t i = 0; i < design.networks.size(); ++i) {
      sources.push_back(c_export::untrained(project_name(design, i), design.networks[i], 0));
    }
    return sources;
  }
  std::map<std::string, std::string> metadata;
  const std::map<std::string, StoredTensor> tensors = read_safetensors(design.weights_path, &metadata);
  for (std::size_t i = 0; i < design.networks.size(); ++i) {
    const graph::NetworkGraph& network = design.networks[i];
    const std::string& name = design.network_names.at(i);
    if (network.outputs.size() > 1) {
      throw StoreError(4, fmt::format("trial {} cannot be exported as C: network {} learned {} tasks; networks of one "
                                      "task can",
                                      design.trial, network.name, network.outputs.size()));
    }
    Source source{project_name(design, i),
                  network,
                  weights_of(network, name.empty() ? "" : name + ".", tensors, design.weights_path),
                  {}};
    if (!floating_point) {
      source.ranges = stored_ranges(metadata, i, design.networks.size());
      if (source.ranges.empty()) {
        source.ranges = quantize::observe_ranges(network, source.weights, *design.data().at(i).images(), {});
      }
    }
    sources.push_back(std::move(source));
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
