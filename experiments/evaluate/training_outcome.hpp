#pragma once

#include <string>
#include <vector>

#include "experiments/config/campaign.hpp"
#include "experiments/store/store.hpp"

namespace cosearch {

/// What one training told.
struct TrainingOutcome {
  bool failed = false;
  std::string reason;              ///< of a failed one
  Metrics metrics;                 ///< `training_metrics` of its network
  graph::Histograms routing = {};  ///< where it has mixtures
};

/// Hashes of a candidate's networks, in the campaign's order, as rows store them.
[[nodiscard]] std::string joined_hashes(const std::vector<graph::NetworkGraph>& networks);
/// Identities within a campaign of the trainings that a row with these networks needs, one for each: which of the
/// campaign's networks, its hash, the fidelity.
[[nodiscard]] std::vector<std::string> training_identities(const std::string& network_hash, const Fidelity& fidelity);
/// Whether the row's networks were trained, diverged ones included.
[[nodiscard]] bool was_trained(const TrialRow& row);
/// The outcomes that a row tells whose networks were trained, one for each; of other rows none.
[[nodiscard]] std::vector<TrainingOutcome> outcomes_of(const Campaign& campaign, const TrialRow& row);

}  // namespace cosearch
