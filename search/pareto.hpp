#pragma once

#include <cstddef>
#include <span>
#include <vector>

/// Free functions on plain points; lower is better in every coordinate. After Deb et al., "A fast and elitist
/// multiobjective genetic algorithm: NSGA-II", 2002.
namespace cosearch {

using Point = std::vector<double>;

/// a is nowhere worse than b and somewhere better.
[[nodiscard]] bool dominates(std::span<const double> a, std::span<const double> b) noexcept;

/// Constrained domination (Deb 2002, section VI): less violation wins; among feasible points, domination.
[[nodiscard]] bool constrained_dominates(std::span<const double> a, double violation_a, std::span<const double> b,
                                         double violation_b) noexcept;

/// Front number of each point, 0 = best, under constrained domination. `violations` is empty or one per point (0 =
/// feasible). Points with a violation may have no objectives.
[[nodiscard]] std::vector<std::size_t> non_dominated_sort(std::span<const Point> points,
                                                          std::span<const double> violations = {});

/// Indices of the non-dominated points, in order; of equal points the first.
[[nodiscard]] std::vector<std::size_t> pareto_front(std::span<const Point> points);

/// Crowding distance of each point among all given (one front); infinity at the ends of every objective that differs
/// among them, and for all of one or two points.
[[nodiscard]] std::vector<double> crowding_distance(std::span<const Point> front);

/// Exact volume dominated by the points and bounded by `reference`; points not better than it in every coordinate do
/// not count. 1 to any number of objectives (2 and 3 by sweep, more by WFG: While, Bradstreet, Barone 2012).
[[nodiscard]] double hypervolume(std::span<const Point> points, std::span<const double> reference);

/// The point farthest from the line (plane) through the extreme points towards the ideal point, after min-max scaling:
/// the usual "knee". Index into `front`, the first of equals; front must not be empty.
[[nodiscard]] std::size_t knee(std::span<const Point> front);

}  // namespace cosearch
