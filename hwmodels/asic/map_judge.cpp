#include "hwmodels/asic/map_judge.hpp"

#include <algorithm>
#include <cmath>

namespace cosearch::asic {

double MapJudge::value_of(double cycles, double picojoules) const {
  switch (options_.objective) {
    case MapObjective::latency:
      return cycles;
    case MapObjective::energy:
      return picojoules;
    case MapObjective::edp:
      break;
  }
  return cycles * picojoules;
}

bool MapJudge::evaluate(MapCandidate& candidate) {
  if (!space_.nest(candidate.tiling, nest_)) {
    return false;
  }
  ++evaluations_;
  if (!counter_.try_count(nest_, options_.footprint, candidate.counts)) {
    return false;
  }
  const double picojoules = pricing_.price(candidate.counts).total_pj;
  const auto cycles = static_cast<double>(candidate.counts.cycles);
  candidate.value = value_of(cycles, picojoules);
  candidate.second = options_.objective == MapObjective::energy ? cycles : picojoules;
  if (candidate.better_than(best_)) {
    best_ = candidate;
  }
  return true;
}

bool MapJudge::fits(const Tiling& tiling) const {
  for (std::size_t slot = 0; slot + 1 < space_.slots().size(); ++slot) {
    const Slot& here = space_.slots()[slot];
    std::int64_t instances = 1;
    for (int dim = 0; dim < space_.dims() && here.kind != LoopKind::temporal; ++dim) {
      instances *= tiling.steps[slot][static_cast<std::size_t>(dim)];
    }
    if (here.kind != LoopKind::temporal && instances > here.limit) {
      return false;
    }
  }
  return counter_.holds(space_.tiles(tiling), tiling.kept, options_.footprint);
}

bool MapJudge::hopeless(const Tiling& tiling) const {
  if (options_.objective == MapObjective::energy) {
    return false;
  }
  double steps = 1.0;
  for (int dim = 0; dim < space_.dims(); ++dim) {
    double spatial = 1.0;
    for (std::size_t slot = 0; slot < space_.slots().size(); ++slot) {
      if (space_.slots()[slot].kind != LoopKind::temporal) {
        spatial *= static_cast<double>(tiling.steps[slot][static_cast<std::size_t>(dim)]);
      }
    }
    steps *= std::max(1.0, std::ceil(static_cast<double>(space_.extent(dim)) / spatial));
  }
  return value_of(std::max(steps, bound_.cycles), bound_.picojoules) > best_.value;
}

}  // namespace cosearch::asic
