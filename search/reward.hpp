#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "search/algorithm.hpp"

namespace cosearch {

/// One number for how good a trial is, higher is better: minus the weighted sum of its objectives, minus `penalty`
/// times its violation (NASAIC, Yang et al., arXiv:2002.04116). Learned objectives (`AlgorithmContext::learned`) count
/// as they are; the others have units, so each is divided by its mean magnitude over the trials seen. An objective
/// that is not known counts as the worst seen, an unknown or infinite violation as the largest finite one seen, at
/// least 1.
class Reward {
 public:
  /// `weights` and `learned`: one for each objective.
  Reward(std::vector<double> weights, std::vector<bool> learned, double penalty);

  void see(const Trial& trial);
  /// `twin`: a trial of the same network, whose learned objectives count where `trial` has none; may be `trial` itself.
  [[nodiscard]] double joint(const Trial& trial, const Trial& twin) const;
  /// Among designs of one network: without the learned objectives, which are the same for all.
  [[nodiscard]] double hardware_only(const Trial& trial) const;

  /// Whether all objectives are there and finite.
  [[nodiscard]] bool has_objectives(const Trial& trial) const;

 private:
  [[nodiscard]] double term(std::size_t objective, const Trial& trial) const;
  [[nodiscard]] double penalty_of(const Trial& trial) const;

  std::vector<double> weights_;
  std::vector<bool> learned_;
  double penalty_;
  std::vector<double> worst_;       ///< of each objective
  std::vector<double> magnitudes_;  ///< sums over the trials with objectives
  std::size_t seen_ = 0;            ///< trials with objectives
  double largest_violation_ = 1.0;
};

}  // namespace cosearch
