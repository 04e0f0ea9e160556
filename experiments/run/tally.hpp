#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "experiments/config/campaign.hpp"
#include "experiments/store/store.hpp"
#include "search/pareto.hpp"

namespace cosearch {

/// Running figures of a search for the progress line, from its finished trials in any order within a batch.
class SearchTally {
 public:
  explicit SearchTally(const Campaign& campaign) : campaign_(campaign) {}

  void add(const TrialRow& row);
  /// Fixes the hypervolume's reference when this is the first batch with a measured candidate.
  void end_batch();

  [[nodiscard]] std::int64_t evaluated() const noexcept { return evaluated_; }
  /// Measured and within all constraints.
  [[nodiscard]] std::int64_t complete() const noexcept { return complete_; }
  /// Share of evaluated candidates that break no capacity or constraint, 0 when there are none.
  [[nodiscard]] double feasible_share() const noexcept;
  /// Different networks trained.
  [[nodiscard]] std::int64_t trained() const noexcept { return static_cast<std::int64_t>(trained_.size()); }
  [[nodiscard]] std::int64_t front_size() const noexcept { return static_cast<std::int64_t>(front_.size()); }
  /// Volume that the front dominates, in units of the product of the reference's coordinates. The reference is 10 %
  /// beyond the worst measured values of the first batch that had any; it stays, so that the figure only grows.
  [[nodiscard]] std::optional<double> hypervolume() const;

 private:
  const Campaign& campaign_;
  std::int64_t evaluated_ = 0;
  std::int64_t feasible_ = 0;
  std::int64_t complete_ = 0;
  std::set<std::string> trained_;
  std::vector<Point> front_;
  Point worst_;  ///< until the reference is fixed
  Point reference_;
};

}  // namespace cosearch
