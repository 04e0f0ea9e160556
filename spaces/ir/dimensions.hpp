#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spaces/ir/workload.hpp"

/// The dimensions of a workload: what the loops of different einsums have in common.
namespace cosearch::ir {

/// A set of ranks of one dimension: bit r stands for Dimension::ranks[r].
using RankSet = std::uint32_t;

/// Loops that index the same axis of a tensor walk the same dimension. Where an axis is cut into blocks, as m by
/// k[M0*m1+m0,e], the loops m1 and m0 are ranks of one dimension, and a loop over the whole axis elsewhere is both. Of
/// the loops of a window (x[2*oy+ky]) the one that reaches farthest walks the axis; the others stay beside it.
///
/// An axis that one einsum walks by two independent loops (the tokens of packed queries and keys) joins nothing.
struct Dimension {
  std::string name;                         ///< of its loops, without the digits that tell ranks apart
  std::vector<Loop> ranks;                  ///< outermost first; the rank of an iteration is the outermost
  std::vector<bool> iterates;               ///< by rank: whether an iteration walks it
  std::int64_t extent = 1;                  ///< elements of a whole fiber: the product of the ranks' extents
  std::vector<std::vector<RankSet>> loops;  ///< by einsum and loop: the ranks that the loop walks
  std::vector<std::vector<RankSet>> axes;   ///< by tensor and axis: the ranks that the axis has
  std::string obstacle;                     ///< why passes cannot be told, in words; empty when they can

  /// Ranks of all loops of an einsum, or of all axes of a tensor.
  [[nodiscard]] RankSet of_einsum(int einsum) const;
  [[nodiscard]] RankSet of_tensor(int tensor) const;
  [[nodiscard]] RankSet all_ranks() const { return (RankSet{1} << ranks.size()) - 1; }
};

/// In the order in which the einsums' loops name them. `workload` is valid.
[[nodiscard]] std::vector<Dimension> find_dimensions(const Workload& workload);

}  // namespace cosearch::ir
