#include "experiments/run/tally.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "experiments/evaluate/objectives.hpp"
#include "experiments/evaluate/training_outcome.hpp"

namespace cosearch {

void SearchTally::add(const TrialRow& row) {
  ++evaluated_;
  if (was_trained(row)) {
    for (std::string& identity : training_identities(row.network_hash, row.fidelity)) {
      trained_.insert(std::move(identity));
    }
  }
  feasible_ += row.state == TrialState::infeasible ? 0 : 1;
  if (row.state != TrialState::complete) {
    return;
  }
  ++complete_;
  const Point point = objectives_of(campaign_, row.metrics);
  if (reference_.empty()) {
    worst_.resize(point.size(), -std::numeric_limits<double>::infinity());
    std::transform(point.begin(), point.end(), worst_.begin(), worst_.begin(),
                   [](double a, double b) { return std::max(a, b); });
  }
  const bool beaten = std::any_of(front_.begin(), front_.end(),
                                  [&](const Point& other) { return other == point || dominates(other, point); });
  if (!beaten) {
    std::erase_if(front_, [&](const Point& other) { return dominates(point, other); });
    front_.push_back(point);
  }
}

void SearchTally::end_batch() {
  if (!reference_.empty() || worst_.empty()) {
    return;
  }
  for (const double value : worst_) {
    reference_.push_back(value == 0.0 ? 0.1 : value + 0.1 * std::abs(value));
  }
}

double SearchTally::feasible_share() const noexcept {
  return evaluated_ == 0 ? 0.0 : static_cast<double>(feasible_) / static_cast<double>(evaluated_);
}

std::optional<double> SearchTally::hypervolume() const {
  if (reference_.empty()) {
    return std::nullopt;
  }
  double unit = 1.0;
  for (const double value : reference_) {
    unit *= std::abs(value);
  }
  return cosearch::hypervolume(front_, reference_) / unit;
}

}  // namespace cosearch
