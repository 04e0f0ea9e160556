#pragma once

#include <string>
#include <vector>

#include "experiments/config/campaign.hpp"

namespace cosearch {

/// The campaign's objectives in minimising form; empty when one of the metrics is missing.
[[nodiscard]] std::vector<double> objectives_of(const Campaign& campaign, const Metrics& metrics);

/// The campaign's constraints that these metrics break; constraints on missing metrics count as met.
[[nodiscard]] std::vector<Violation> broken_constraints(const Campaign& campaign, const Metrics& metrics);

/// `latency_ms is 12.3, at most 10 is allowed; ...`
[[nodiscard]] std::string constraint_text(const std::vector<Violation>& violations);

/// A candidate's metrics of training from those of its networks, in the campaign's order: of each metric that all of
/// them have the mean by their weights; of several networks also each one's own, see network_metric.
[[nodiscard]] Metrics combined_metrics(const Campaign& campaign, const std::vector<Metrics>& networks);

/// The errors that the screen predicted of the networks; empty where it did not.
[[nodiscard]] std::vector<double> predicted_errors(const Campaign& campaign, const Metrics& metrics);

/// The metrics with error and accuracy set as if the networks had these errors.
[[nodiscard]] Metrics with_errors(const Campaign& campaign, Metrics metrics, const std::vector<double>& errors);

}  // namespace cosearch
