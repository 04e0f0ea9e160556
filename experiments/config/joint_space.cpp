#include <fmt/format.h>

#include <algorithm>

#include "experiments/config/campaign.hpp"
#include "experiments/config/section.hpp"
#include "spaces/catalog/registry.hpp"

namespace cosearch {
namespace {

constexpr const char* kHardwarePrefix = "hw.";

}  // namespace

JointSpace::JointSpace(const Campaign& campaign, const std::string& data_directory) {
  space_ = in_section("/space", [&] { return make_space(campaign.space_name, campaign.space_options, campaign.task); });
  target_ =
      in_section("/target", [&] { return make_target(campaign.target_name, campaign.target_options, data_directory); });
  network_params_ = in_section("/space/genes", [&] { return space_->params().restricted(campaign.space_genes); });
  const ParamSet hardware =
      in_section("/target/genes", [&] { return target_->params().restricted(campaign.target_genes); });
  std::vector<Param> joint = network_params_.params();
  for (const Param& param : joint) {
    if (param.name.starts_with(kHardwarePrefix)) {
      throw ConfigError("/space", fmt::format("the gene \"{}\" begins with \"{}\", which marks hardware genes; choose "
                                              "another name",
                                              param.name, kHardwarePrefix));
    }
  }
  std::vector<Param> marked = prefixed(hardware.params(), kHardwarePrefix);
  std::move(marked.begin(), marked.end(), std::back_inserter(joint));
  params_ = ParamSet(std::move(joint));
  for (std::size_t i = 0; i < campaign.initial.size(); ++i) {
    const std::string place = fmt::format("/space/initial/{}", i);
    Genome design = in_section(place, [&] { return params_.from_json(campaign.initial[i]); });
    if (std::find(initial_.begin(), initial_.end(), design) != initial_.end()) {
      throw ConfigError(place, "is the same design as an earlier one; allowed: each once");
    }
    initial_.push_back(std::move(design));
  }
}

Genome JointSpace::network_part(const Genome& joint) const { return params_.translate(joint, space_->params()); }

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
    learned.push_back(objective.metric == "accuracy" || objective.metric == "error");
  }
  return {.params = &space.params(),
          .objectives = campaign.objectives.size(),
          .seed = campaign.seed,
          .fidelity = fidelity,
          .initial = space.initial(),
          .hardware = space.hardware_genes(),
          .learned = std::move(learned)};
}

}  // namespace cosearch
