#include "experiments/evaluate/objectives.hpp"

#include <fmt/format.h>

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

Metrics with_error(Metrics metrics, double error) {
  metrics["error"] = error;
  metrics["accuracy"] = 1.0 - error;
  return metrics;
}

}  // namespace cosearch
