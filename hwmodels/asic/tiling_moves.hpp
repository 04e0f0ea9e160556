#pragma once

#include <cstdint>
#include <vector>

#include "hwmodels/asic/map_judge.hpp"
#include "spaces/base/rng.hpp"

/// Inside of hwmodels/asic: random tilings and random changes of tilings.
namespace cosearch::asic {

class TilingMoves {
 public:
  TilingMoves(const MapJudge& judge, std::uint64_t seed)
      : judge_(judge), space_(judge.space()), random_(seed, Purpose::map, 0) {}

  /// Spatial loops that use many instances, tiles that grow from the innermost level outwards while they fit, any
  /// order.
  [[nodiscard]] Tiling start();
  /// One change: other steps, steps moved to another level or given to another loop, other loops on the instances,
  /// another order, a tensor kept or left out.
  void change(Tiling& tiling);

  /// Dims with values left to step over at the slot.
  [[nodiscard]] std::vector<int> open_dims(const Tiling& tiling, int slot) const;
  /// Fills the instances of a direction with the dims in their order.
  void spread(Tiling& tiling, int slot, const std::vector<int>& dims) const;

 private:
  void grow(Tiling& tiling, int slot);
  void retile(Tiling& tiling);
  void transfer(Tiling& tiling);
  void trade(Tiling& tiling);
  void respread(Tiling& tiling);
  void reorder(Tiling& tiling);
  [[nodiscard]] bool toggle_keep(Tiling& tiling);

  [[nodiscard]] int random_slot() { return static_cast<int>(random_.below(space_.slots().size())); }
  [[nodiscard]] std::int64_t random_steps(std::int64_t rest);

  const MapJudge& judge_;
  const TilingSpace& space_;
  RngStream random_;
};

}  // namespace cosearch::asic
