#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "experiments/config/campaign.hpp"
#include "experiments/config/networks.hpp"
#include "experiments/config/section.hpp"
#include "spaces/base/metrics.hpp"
#include "spaces/catalog/registry.hpp"

namespace cosearch {
namespace {

constexpr const char* kHardwarePrefix = "hw.";

}  // namespace

JointSpace::JointSpace(const Campaign& campaign, const std::string& data_directory) {
  std::vector<Param> joint;
  for (const CampaignNetwork& network : campaign.networks) {
    const std::string place = network.place + "/space";
    Network& part = networks_.emplace_back();
    part.name = network.name;
    part.prefix = network.name.empty() ? "" : network.name + ".";
    // The registry's own place for an unknown name is /space/name.
    part.space = in_section(network.place, [&] {
      return in_section("/space", [&] { return make_space(network.space_name, network.space_options, network.task); });
    });
    part.params = in_section(place + "/genes", [&] { return part.space->params().restricted(network.space_genes); });
    for (Param& param : prefixed(part.params.params(), part.prefix)) {
      if (param.name.starts_with(kHardwarePrefix)) {
        throw ConfigError(place, fmt::format("the gene \"{}\" begins with \"{}\", which marks hardware genes; choose "
                                             "another name",
                                             param.name, kHardwarePrefix));
      }
      joint.push_back(std::move(param));
    }
  }
  target_ =
      in_section("/target", [&] { return make_target(campaign.target_name, campaign.target_options, data_directory); });
  const ParamSet hardware =
      in_section("/target/genes", [&] { return target_->params().restricted(campaign.target_genes); });
  std::vector<Param> marked = prefixed(hardware.params(), kHardwarePrefix);
  std::move(marked.begin(), marked.end(), std::back_inserter(joint));
  params_ = ParamSet(std::move(joint));
  for (std::size_t i = 0; i < campaign.initial.size(); ++i) {
    const std::string place = fmt::format("{}/{}", initial_place(campaign), i);
    Genome design = in_section(place, [&] { return params_.from_json(campaign.initial[i]); });
    if (std::find(initial_.begin(), initial_.end(), design) != initial_.end()) {
      throw ConfigError(place, "is the same design as an earlier one; allowed: each once");
    }
    initial_.push_back(std::move(design));
  }
}

Genome JointSpace::network_part(const Genome& joint, std::size_t network) const {
  const Network& part = networks_.at(network);
  return params_.translate(joint, part.space->params(), part.prefix);
}

Genome JointSpace::hardware_part(const Genome& joint) const {
  return params_.translate(joint, target_->params(), kHardwarePrefix);
}

std::vector<bool> JointSpace::hardware_genes() const {
  std::vector<bool> hardware;
  for (const Param& param : params_.params()) {
    hardware.push_back(param.name.starts_with(kHardwarePrefix));
  }
  return hardware;
}

AlgorithmContext algorithm_context(const Campaign& campaign, const JointSpace& space, const Fidelity& fidelity) {
  std::vector<bool> learned;
  for (const Objective& objective : campaign.objectives) {
    const std::optional<MetricInfo> metric = find_metric(objective.metric);
    learned.push_back(metric && metric->of_training);
  }
  return {.params = &space.params(),
          .objectives = campaign.objectives.size(),
          .seed = campaign.seed,
          .fidelity = fidelity,
          .initial = space.initial(),
          .hardware = space.hardware_genes(),
          .learned = std::move(learned)};
}

graph::NetworkGraph JointSpace::decode_network(std::size_t network, const nlohmann::json& genes) const {
  const Network& part = networks_.at(network);
  const Genome genome = part.params.translate(part.params.from_json(genes), part.space->params(), "");
  return std::get<graph::NetworkGraph>(part.space->decode(genome));
}

std::vector<graph::NetworkGraph> JointSpace::decode(const Genome& joint) const {
  std::vector<graph::NetworkGraph> graphs;
  for (std::size_t i = 0; i < networks_.size(); ++i) {
    graphs.push_back(std::get<graph::NetworkGraph>(networks_[i].space->decode(network_part(joint, i))));
    if (!networks_[i].name.empty()) {
      graphs.back().name = networks_[i].name;
    }
  }
  return graphs;
}

}  // namespace cosearch
