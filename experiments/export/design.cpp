#include "experiments/export/design.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "experiments/config/json_file.hpp"
#include "experiments/config/section.hpp"
#include "experiments/store/query.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/catalog/mcunet_import.hpp"
#include "spaces/catalog/networks.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kFormatName = "cosearch.design";
constexpr int kFormatVersion = 1;

/// Under which names a network's mixtures have histograms.
std::set<std::string> histogram_names(const graph::NetworkGraph& network) {
  std::set<std::string> names;
  for (const graph::Node& node : network.nodes) {
    if (const auto* mixture = std::get_if<graph::MoeFfn>(&node.op)) {
      names.insert(graph::tokens_key(node.name));
      for (std::int64_t task = 0; task < mixture->tasks; ++task) {
        names.insert(graph::tokens_key(node.name, task));
      }
    }
  }
  return names;
}

/// @throws ConfigError: no histograms of the networks' mixtures.
Routing routing_from(const JsonReader& list, const std::vector<graph::NetworkGraph>& networks) {
  const std::vector<JsonReader> items = list.items("a list of histograms for each network");
  if (items.size() != networks.size()) {
    list.fail(fmt::format("has {} entries for {} networks", items.size(), networks.size()));
  }
  Routing routing;
  for (std::size_t i = 0; i < items.size(); ++i) {
    graph::Histograms& histograms = routing.emplace_back();
    const std::set<std::string> names = histogram_names(networks[i]);
    for (const auto& [name, counts] : items[i].members()) {
      if (!names.contains(name)) {
        counts.fail(fmt::format("no mixture of the network has such tokens; there are: {}", fmt::join(names, ", ")));
      }
      for (const JsonReader& count : counts.items("tokens of each expert")) {
        histograms[name].push_back(count.number());
      }
    }
    for (const graph::NetworkGraph& network : graph::task_networks(networks[i])) {
      if (const std::optional<std::string> wrong = graph::wrong_histogram(network, histograms)) {
        items[i].fail(*wrong);
      }
    }
  }
  return routing;
}

}  // namespace

Design make_design(const Campaign& campaign, const JointSpace& space, const Evaluator& evaluator, const TrialRow& row,
                   const std::vector<FinalRow>& finals) {
  const auto trained =
      std::find_if(finals.begin(), finals.end(), [&](const FinalRow& entry) { return entry.trial == row.id; });
  const Routing& routing = trained != finals.end() && !trained->routing.empty() ? trained->routing : row.routing;
  const Expected<Cost, Infeasible> cost =
      row.pending ? Expected<Cost, Infeasible>(Unexpected{Infeasible{{}, "it was not evaluated yet"}})
                  : evaluator.explain(row.genome, routing);
  if (!cost) {
    throw StoreError(4, fmt::format("trial {} cannot be exported: {}", row.id, cost.error().reason));
  }
  Design design;
  design.trial = row.id;
  design.genes = row.genes;
  design.networks = space.decode(row.genome);
  design.hardware = {campaign.target_name, campaign.target_options,
                     space.target().params().to_json(space.hardware_part(row.genome))};
  design.job = {campaign.batch, campaign.resolved.at("job").at("types").get<std::string>()};
  design.metrics = row.metrics;
  design.routing = routing;
  design.cost = *cost;
  for (const CampaignNetwork& network : campaign.networks) {
    design.network_names.push_back(network.name);
    std::vector<std::string>& tasks = design.task_names.emplace_back();
    for (const CampaignTask& task : network.tasks) {
      tasks.push_back(task.name);
    }
  }
  if (trained != finals.end()) {
    design.final_metrics = trained->metrics;
    design.weights_path = trained->weights_file;
  }
  design.provenance = {{"campaign", campaign.name},
                       {"seed", campaign.seed},
                       {"trial", row.id},
                       {"state", state_text(row)},
                       {"config_hash", config_hash(campaign)},
                       {"network_hash", row.network_hash},
                       {"hardware_hash", row.hardware_hash},
                       {"cosearch", COSEARCH_VERSION},
                       {"target_fingerprint", space.target().fingerprint()},
                       {"trainer_fingerprint", trainer_fingerprint()}};
  return design;
}

ordered_json to_json(const Cost& cost) {
  ordered_json layers = ordered_json::array();
  for (const LayerCost& layer : cost.layers) {
    layers.push_back({{"name", layer.name},
                      {"kind", layer.kind},
                      {"macs", layer.macs},
                      {"cycles", layer.cycles},
                      {"latency_ms", layer.latency_ms},
                      {"energy_uj", layer.energy_uj},
                      {"traffic_bytes", layer.traffic_bytes},
                      {"utilization", layer.utilization},
                      {"bound", layer.bound},
                      {"parts", layer.parts}});
  }
  ordered_json memory = ordered_json::array();
  for (const MemoryStep& step : cost.memory) {
    ordered_json buffers = ordered_json::array();
    for (const auto& [name, bytes] : step.buffers) {
      buffers.push_back({{"name", name}, {"bytes", bytes}});
    }
    memory.push_back({{"name", step.name}, {"live_bytes", step.live_bytes}, {"buffers", std::move(buffers)}});
  }
  return {{"metrics", cost.metrics},
          {"layers", std::move(layers)},
          {"memory", std::move(memory)},
          {"bound", cost.bound},
          {"notes", cost.notes}};
}

ordered_json to_json(const Design& design, const std::string& weights_file) {
  ordered_json weights = {{"file", nullptr}};
  if (weights_file.empty()) {
    weights["note"] = "no weights: the design was not trained in the campaign's final stage";
  } else {
    weights = {{"file", weights_file}, {"format", "safetensors"}};
  }
  ordered_json document = {{"format", kFormatName}, {"schema_version", kFormatVersion}};
  document["metrics"] = design.metrics;
  document["final_metrics"] = design.final_metrics ? ordered_json(*design.final_metrics) : ordered_json(nullptr);
  document["genes"] = design.genes;
  document["hardware"] = {
      {"target", design.hardware.target}, {"options", design.hardware.options}, {"genes", design.hardware.genes}};
  document["job"] = {{"batch", design.job.batch}, {"types", design.job.types}};
  if (design.networks.size() == 1) {
    document["network"] = graph::to_json(design.networks.front());
  } else {
    document["networks"] = ordered_json::array();
    for (const graph::NetworkGraph& network : design.networks) {
      document["networks"].push_back(ordered_json(graph::to_json(network)));
    }
  }
  if (!design.routing.empty()) {
    document["routing"] = design.routing;
  }
  document["weights"] = std::move(weights);
  document["cost"] = to_json(design.cost);
  document["provenance"] = design.provenance;
  return document;
}

DesignFile design_from_json(const json& value) {
  const JsonReader root(value);
  DesignFile file;
  if (!root.has("network") && !root.has("networks")) {
    file.networks.push_back(graph::graph_from_json(value));
    return file;
  }
  static_cast<void>(root.at("schema_version").integer(kFormatVersion, kFormatVersion));
  const std::vector<JsonReader> networks =
      root.has("network") ? std::vector{root.at("network")} : root.at("networks").items("a list of networks");
  if (networks.empty()) {
    root.at("networks").refuse("one or more networks");
  }
  for (const JsonReader& network : networks) {
    file.networks.push_back(in_section(network.pointer(), [&] { return graph::graph_from_json(network.value()); }));
  }
  if (const auto routing = root.find("routing")) {
    file.routing = routing_from(*routing, file.networks);
  }
  const JsonReader hardware = root.required("hardware", "{\"target\", \"options\", \"genes\"}");
  hardware.only({"target", "options", "genes"});
  file.hardware = {hardware.at("target").text(), hardware.section("options").value(),
                   hardware.section("genes").value()};
  const JsonReader job = root.required("job", "{\"batch\", \"types\"}");
  job.only({"batch", "types"});
  file.job = {job.integer("batch", 1, 1, 65536), job.at("types").text()};
  return file;
}

DesignFile load_design(const std::string& network, std::optional<std::int64_t> resolution, const std::string& folder) {
  const bool is_file = network.find('/') != std::string::npos || network.ends_with(".json");
  const std::filesystem::path path = std::filesystem::path(folder) / network;
  const json value = is_file ? read_json_file(path.string()) : json();
  try {
    if (is_mcunet(value)) {
      return {{mcunet_from_json(value, path.stem().string(), resolution)}, std::nullopt, std::nullopt};
    }
    if (resolution) {
      throw ConfigError("--resolution",
                        "is for network descriptions of MCUNet; the input of other networks has its size");
    }
    return is_file ? design_from_json(value) : DesignFile{{make_network(network)}, std::nullopt, std::nullopt};
  } catch (const ConfigError& error) {
    throw is_file && error.file().empty() ? error.in_file(path.string()) : error;
  }
}

}  // namespace cosearch
