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

/// The metrics with error and accuracy set.
[[nodiscard]] Metrics with_error(Metrics metrics, double error);

}  // namespace cosearch
