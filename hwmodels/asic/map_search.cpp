#include "hwmodels/asic/map_search.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace cosearch::asic {
namespace {

// Rounds without a better mapping after which the search ends; changes tried in vain before a round ends.
constexpr int kIdleRounds = 150;
constexpr std::int64_t kPatiencePerSlot = 24;

}  // namespace

MapStop MapSearch::run() {
  const std::int64_t patience = kPatiencePerSlot * static_cast<std::int64_t>(space_.slots().size());
  MapCandidate incumbent = judge_.best();  // of the even space, if that was enumerated
  int idle = 0;
  for (int round = 0; idle < kIdleRounds && !judge_.exhausted(); ++round) {
    MapCandidate candidate;
    if (round % 2 == 0 || incumbent.value == std::numeric_limits<double>::infinity()) {
      candidate.tiling = moves_.start();
    } else {
      candidate.tiling = incumbent.tiling;
      for (int change = 0; change < 4; ++change) {
        moves_.change(candidate.tiling);
      }
    }
    if (!judge_.evaluate(candidate) && !shrink(candidate)) {
      ++idle;
      continue;
    }
    if (round % 2 == 0) {
      choose_spreads(candidate);
      choose_orders(candidate);
    }
    climb(candidate, patience);
    if (candidate.better_than(incumbent)) {
      incumbent = candidate;
      idle = 0;
    } else {
      ++idle;
    }
    if (incumbent.value <= judge_.bound_value()) {
      return MapStop::at_bound;
    }
  }
  return judge_.exhausted() ? MapStop::budget : MapStop::converged;
}

void MapSearch::climb(MapCandidate& candidate, std::int64_t patience) {
  for (std::int64_t vain = 0; vain < patience && !judge_.exhausted(); ++vain) {
    MapCandidate next;
    next.tiling = candidate.tiling;
    moves_.change(next.tiling);
    if (judge_.evaluate(next) && !candidate.better_than(next)) {
      vain = next.better_than(candidate) ? 0 : vain;
      candidate = next;
    }
  }
}

/// The best loop along each direction, with what the others have.
void MapSearch::choose_spreads(MapCandidate& candidate) {
  for (int slot = 0; slot < static_cast<int>(space_.slots().size()); ++slot) {
    if (space_.slots()[static_cast<std::size_t>(slot)].kind == LoopKind::temporal) {
      continue;
    }
    for (int dim = 0; dim < space_.dims() && !judge_.exhausted(); ++dim) {
      MapCandidate next;
      next.tiling = candidate.tiling;
      next.tiling.steps[static_cast<std::size_t>(slot)].fill(1);
      std::vector<int> dims = moves_.open_dims(next.tiling, slot);
      const auto first = std::find(dims.begin(), dims.end(), dim);
      if (first != dims.end()) {
        std::rotate(dims.begin(), first, first + 1);
        moves_.spread(next.tiling, slot, dims);
        if (judge_.evaluate(next) && next.better_than(candidate)) {
          candidate = next;
        }
      }
    }
  }
}

/// The best order at each level, from the outermost inwards, with what the others have.
void MapSearch::choose_orders(MapCandidate& candidate) {
  for (int level = space_.levels(); level-- > 0;) {
    const auto l = static_cast<std::size_t>(level);
    for (std::size_t order = 0; order < space_.orders(level).size() && !judge_.exhausted(); ++order) {
      MapCandidate next;
      next.tiling = candidate.tiling;
      next.tiling.order[l] = static_cast<std::uint16_t>(order);
      if (judge_.evaluate(next) && next.better_than(candidate)) {
        candidate = next;
      }
    }
  }
}

/// Takes back temporal steps until the tiles fit.
bool MapSearch::shrink(MapCandidate& candidate) {
  for (std::size_t slot = space_.slots().size() - 1; slot-- > 0 && !judge_.exhausted();) {
    for (int dim = 0; dim < space_.dims(); ++dim) {
      std::int64_t& steps = candidate.tiling.steps[slot][static_cast<std::size_t>(dim)];
      if (steps > 1) {
        steps = 1;
        if (judge_.evaluate(candidate)) {
          return true;
        }
      }
    }
  }
  return false;
}

}  // namespace cosearch::asic
