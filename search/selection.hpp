#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "search/algorithm.hpp"
#include "search/pareto.hpp"

/// Which individuals survive and which become parents, after Deb et al. 2002.
namespace cosearch {

/// An evaluated genome and its standing in the population.
struct Individual {
  Genome genome;
  Point objectives;        ///< empty when unknown; violation is positive then
  double violation = 0.0;  ///< 0: feasible
  std::size_t front = 0;
  double crowding = 0.0;
};

/// What a trial is to selection. Trials that failed, and those without usable objectives that state no violation,
/// violate infinitely.
[[nodiscard]] Individual make_individual(const Trial& trial, std::size_t objectives);

/// The best `count` of the candidates, best first: by front, then crowding, then order. Their fronts and crowding
/// distances are those among the candidates.
[[nodiscard]] std::vector<Individual> select_survivors(std::vector<Individual> candidates, std::size_t count);

/// Winner of a binary tournament: the lower front, then the larger crowding distance.
[[nodiscard]] const Individual& tournament(std::span<const Individual> population, RngStream& rng);

}  // namespace cosearch
