#include "experiments/evaluate/objectives.hpp"

#include <fmt/format.h>

#include "spaces/base/metrics.hpp"

namespace cosearch {

std::vector<double> objectives_of(const Campaign& campaign, const Metrics& metrics) {
  std::vector<double> values;
  for (const Objective& objective : campaign.objectives) {
    const auto found = metrics.find(objective.metric);
    if (found == metrics.end()) {
      return {};
    }
    values.push_back(objective.direction == Direction::minimize ? found->second : -found->second);
  }
  return values;
}

std::vector<Violation> broken_constraints(const Campaign& campaign, const Metrics& metrics) {
  std::vector<Violation> broken;
  for (const Constraint& constraint : campaign.constraints) {
    const auto found = metrics.find(constraint.metric);
    if (found == metrics.end()) {
      continue;
    }
    if (constraint.max && found->second > *constraint.max) {
      broken.push_back({constraint.metric, found->second, *constraint.max});
    } else if (constraint.min && found->second < *constraint.min) {
      broken.push_back({constraint.metric, found->second, *constraint.min});
    }
  }
  return broken;
}

std::string constraint_text(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& violation : violations) {
    text +=
        fmt::format("{}{} is {:.6g}, {} {:.6g} is allowed", text.empty() ? "" : "; ", violation.name,
                    violation.required, violation.required > violation.limit ? "at most" : "at least", violation.limit);
  }
  return text;
}

Metrics combined_metrics(const Campaign& campaign, const std::vector<Metrics>& networks) {
  Metrics combined;
  for (const auto& [metric, unused] : networks.front()) {
    double mean = 0.0;
    bool everywhere = true;
    for (std::size_t i = 0; i < networks.size(); ++i) {
      const auto found = networks[i].find(metric);
      everywhere = everywhere && found != networks[i].end();
      mean += everywhere ? campaign.networks[i].weight * found->second : 0.0;
    }
    if (everywhere) {
      combined[metric] = mean;
    }
  }
  for (std::size_t i = 0; networks.size() > 1 && i < networks.size(); ++i) {
    for (const auto& [metric, value] : networks[i]) {
      combined[network_metric(metric, campaign.networks[i].name)] = value;
    }
  }
  return combined;
}

std::vector<double> predicted_errors(const Campaign& campaign, const Metrics& metrics) {
  std::vector<double> errors;
  for (const CampaignNetwork& network : campaign.networks) {
    const auto found = metrics.find(network_metric("predicted_error", network.name));
    if (found == metrics.end()) {
      return {};
    }
    errors.push_back(found->second);
  }
  return errors;
}

Metrics with_errors(const Campaign& campaign, Metrics metrics, const std::vector<double>& errors) {
  std::vector<Metrics> networks;
  for (const double error : errors) {
    networks.push_back({{"accuracy", 1.0 - error}, {"error", error}});
  }
  for (const auto& [name, value] : combined_metrics(campaign, networks)) {
    metrics[name] = value;
  }
  return metrics;
}

}  // namespace cosearch
