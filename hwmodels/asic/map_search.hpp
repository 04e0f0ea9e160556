#pragma once

#include "hwmodels/asic/map_judge.hpp"
#include "hwmodels/asic/tiling_moves.hpp"

/// Inside of hwmodels/asic: iterated local search in map spaces that are too large to be enumerated.
namespace cosearch::asic {

class MapSearch {
 public:
  MapSearch(MapJudge& judge, std::uint64_t seed) : judge_(judge), space_(judge.space()), moves_(judge, seed) {}

  /// Rounds of climbing, by turns from a new start and from the changed best mapping. Goes on from what the judge
  /// knows.
  [[nodiscard]] MapStop run();

 private:
  void climb(MapCandidate& candidate, std::int64_t patience);
  void choose_spreads(MapCandidate& candidate);
  void choose_orders(MapCandidate& candidate);
  [[nodiscard]] bool shrink(MapCandidate& candidate);

  MapJudge& judge_;
  const TilingSpace& space_;
  TilingMoves moves_;
};

}  // namespace cosearch::asic
