#pragma once

#include <cstdint>
#include <vector>

#include "hwmodels/asic/map_judge.hpp"

/// Inside of hwmodels/asic: map spaces that are small enough to be searched as a whole.
namespace cosearch::asic {

/// All tilings of a space, or all even ones (whose steps divide what they step over).
class MapEnumeration {
 public:
  MapEnumeration(MapJudge& judge, bool even);

  /// Mappings; infinite where nobody would count them.
  [[nodiscard]] double size() const noexcept { return size_; }
  /// Gives every mapping to the judge that fits and is not hopeless. The size is finite.
  void run();

 private:
  using Chains = std::vector<std::vector<std::int64_t>>;  ///< steps by slot

  void over_keeps(MapCandidate& candidate, int level, int tensor);
  void over_dims(MapCandidate& candidate, std::size_t depth);
  void over_orders(MapCandidate& candidate, int level);

  MapJudge& judge_;
  const TilingSpace& space_;
  std::vector<Chains> chains_;  ///< by dim
  std::vector<int> dims_;       ///< those with most choices first: they cut most
  double size_ = 0.0;
};

}  // namespace cosearch::asic
