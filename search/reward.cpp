#include "search/reward.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch {

Reward::Reward(std::vector<double> weights, std::vector<bool> learned, double penalty)
    : weights_(std::move(weights)),
      learned_(std::move(learned)),
      penalty_(penalty),
      worst_(weights_.size(), 0.0),
      magnitudes_(weights_.size(), 0.0) {
  COSEARCH_CHECK(learned_.size() == weights_.size(), "each objective is learned or not");
}

bool Reward::has_objectives(const Trial& trial) const {
  return trial.objectives.size() == weights_.size() && std::all_of(trial.objectives.begin(), trial.objectives.end(),
                                                                   [](double value) { return std::isfinite(value); });
}

void Reward::see(const Trial& trial) {
  if (std::isfinite(trial.violation)) {
    largest_violation_ = std::max(largest_violation_, trial.violation);
  }
  if (!has_objectives(trial)) {
    return;
  }
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    worst_[i] = seen_ == 0 ? trial.objectives[i] : std::max(worst_[i], trial.objectives[i]);
    magnitudes_[i] += std::abs(trial.objectives[i]);
  }
  ++seen_;
}

double Reward::joint(const Trial& trial, const Trial& twin) const {
  double reward = -penalty_of(trial);
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    reward -= term(i, learned_[i] && !has_objectives(trial) ? twin : trial);
  }
  return reward;
}

double Reward::hardware_only(const Trial& trial) const {
  double reward = -penalty_of(trial);
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    reward -= learned_[i] ? 0.0 : term(i, trial);
  }
  return reward;
}

double Reward::term(std::size_t objective, const Trial& trial) const {
  const double value = has_objectives(trial) ? trial.objectives[objective] : worst_[objective];
  const double mean = magnitudes_[objective] / static_cast<double>(std::max<std::size_t>(seen_, 1));
  const bool unscaled = learned_[objective] || mean == 0.0;
  return weights_[objective] * (unscaled ? value : value / mean);
}

double Reward::penalty_of(const Trial& trial) const {
  // A trial that failed tells nothing of how far off it is.
  const bool unknown = trial.state == TrialState::failed || !std::isfinite(trial.violation);
  return penalty_ * (unknown ? largest_violation_ : trial.violation);
}

}  // namespace cosearch
