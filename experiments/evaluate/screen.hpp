#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "search/pareto.hpp"

namespace cosearch {

/// A network that may be trained, as the screen sees it.
struct ScreenCandidate {
  /// Objectives at the optimistic error (mean - std_dev), one point for each hardware that the batch pairs it with.
  std::vector<Point> points;
  double optimistic_error = 0.0;
};

/// Candidates in the order in which training them promises most: greedily, each next one adds the largest hypervolume
/// to the measured front and those before it. Objectives are scaled to [0, 1] over all points, the reference is 1.1.
/// Ties (candidates that could add nothing) by optimistic error, then by index. Lower is better in every coordinate;
/// all points have one length.
[[nodiscard]] std::vector<std::size_t> rank_by_hypervolume_gain(std::span<const Point> measured,
                                                                std::span<const ScreenCandidate> candidates);

}  // namespace cosearch
