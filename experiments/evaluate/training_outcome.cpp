#include "experiments/evaluate/training_outcome.hpp"

#include <fmt/format.h>

#include <sstream>

#include "experiments/config/tasks.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/metrics.hpp"

namespace cosearch {

std::string joined_hashes(const std::vector<graph::NetworkGraph>& networks) {
  std::string joined;
  for (const graph::NetworkGraph& network : networks) {
    joined += (joined.empty() ? "" : "-") + hex(graph::hash(network));
  }
  return joined;
}

std::vector<std::string> training_identities(const std::string& network_hash, const Fidelity& fidelity) {
  std::vector<std::string> identities;
  std::istringstream hashes(network_hash);
  for (std::string hash; std::getline(hashes, hash, '-');) {
    identities.push_back(
        fmt::format("{}/{}/{}/{}", identities.size(), hash, static_cast<int>(fidelity.kind), fidelity.epochs));
  }
  return identities;
}

bool was_trained(const TrialRow& row) {
  return !row.pending && (row.state == TrialState::failed || row.metrics.contains("error"));
}

std::vector<TrainingOutcome> outcomes_of(const Campaign& campaign, const TrialRow& row) {
  if (!was_trained(row)) {
    return {};
  }
  std::vector<TrainingOutcome> outcomes;
  for (const CampaignNetwork& network : campaign.networks) {
    TrainingOutcome& outcome = outcomes.emplace_back();
    if (!row.routing.empty()) {
      outcome.routing = row.routing.at(outcomes.size() - 1);
    }
    for (const std::string& metric : training_metrics(campaign, network)) {
      const auto found = row.metrics.find(network_metric(metric, network.name));
      if (found != row.metrics.end()) {
        outcome.metrics.emplace(metric, found->second);
      }
    }
    if (!outcome.metrics.contains("error")) {
      outcome.failed = true;
      // A row of several networks gives the reasons of all of them in one text.
      outcome.reason = network.name.empty() ? row.reason : fmt::format("its training failed in trial {}", row.id);
    }
  }
  return outcomes;
}

}  // namespace cosearch
