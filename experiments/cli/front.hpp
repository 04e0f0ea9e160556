#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "experiments/config/campaign.hpp"
#include "experiments/store/store.hpp"
#include "search/pareto.hpp"

namespace cosearch::cli {

/// Measured trials that no other one dominates, best first in the first objective.
struct Front {
  std::vector<TrialRow> rows;
  std::vector<Point> points;  ///< objectives of each row, lower is better
};
/// Of the complete trials among `rows` that have all objectives. Screened ones do not count: theirs are predictions.
[[nodiscard]] Front front_of(const std::vector<TrialRow>& rows, const std::vector<Objective>& objectives);

/// At most `count` members that stand for the front: greedy choice of the largest hypervolume after min-max scaling
/// (reference 1.1 in each objective), after Guerreiro, Fonseca, Paquete, "Greedy hypervolume subset selection in low
/// dimensions", 2016. Indices in ascending order; equal gains: the first.
[[nodiscard]] std::vector<std::size_t> representatives(std::span<const Point> front, std::size_t count);

/// The front without all but the listed members.
[[nodiscard]] Front subset(const Front& front, const std::vector<std::size_t>& members);

}  // namespace cosearch::cli
