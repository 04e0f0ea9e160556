#include "search/selection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

bool better(const Individual& a, const Individual& b) noexcept {
  return a.front != b.front ? a.front < b.front : a.crowding > b.crowding;
}

/// Fills in the crowding distances of each feasible front. Infeasible ones have no objectives to spread over.
void rate_crowding(std::vector<Individual>& candidates, std::size_t fronts) {
  std::vector<std::vector<std::size_t>> members(fronts);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    members[candidates[i].front].push_back(i);
  }
  for (const std::vector<std::size_t>& front : members) {
    if (candidates[front.front()].violation > 0.0) {
      continue;
    }
    std::vector<Point> points;
    points.reserve(front.size());
    for (const std::size_t i : front) {
      points.push_back(candidates[i].objectives);
    }
    const std::vector<double> distances = crowding_distance(points);
    for (std::size_t k = 0; k < front.size(); ++k) {
      candidates[front[k]].crowding = distances[k];
    }
  }
}

}  // namespace

Individual make_individual(const Trial& trial, std::size_t objectives) {
  Individual individual{.genome = trial.proposal.genome, .objectives = trial.objectives, .violation = trial.violation};
  const bool measured =
      trial.objectives.size() == objectives &&
      std::none_of(trial.objectives.begin(), trial.objectives.end(), [](double value) { return std::isnan(value); });
  if (!measured) {
    individual.objectives.clear();
  }
  const bool stated = trial.violation > 0.0;
  if (trial.state == TrialState::failed || std::isnan(trial.violation) ||
      (!stated && (!measured || trial.state == TrialState::infeasible))) {
    individual.violation = std::numeric_limits<double>::infinity();
  }
  return individual;
}

std::vector<Individual> select_survivors(std::vector<Individual> candidates, std::size_t count) {
  std::vector<Point> points;
  std::vector<double> violations;
  for (Individual& candidate : candidates) {
    points.push_back(std::move(candidate.objectives));
    violations.push_back(candidate.violation);
  }
  const std::vector<std::size_t> fronts = non_dominated_sort(points, violations);
  std::size_t number_of_fronts = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    candidates[i].objectives = std::move(points[i]);
    candidates[i].front = fronts[i];
    candidates[i].crowding = 0.0;
    number_of_fronts = std::max(number_of_fronts, fronts[i] + 1);
  }
  rate_crowding(candidates, number_of_fronts);
  std::stable_sort(candidates.begin(), candidates.end(), better);
  candidates.resize(std::min(count, candidates.size()));
  return candidates;
}

const Individual& tournament(std::span<const Individual> population, RngStream& rng) {
  COSEARCH_CHECK(!population.empty(), "a tournament needs a population");
  const Individual& first = population[rng.below(population.size())];
  const Individual& second = population[rng.below(population.size())];
  return better(second, first) ? second : first;
}

}  // namespace cosearch
