#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// Loops of an einsum that play one part in its matrix products, in loop order, and the product of their extents.
struct LoopSet {
  std::vector<int> loops;
  std::int64_t extent = 1;
};

/// A multiply-accumulate einsum as `groups` independent products O[m, n] = sum over k of A[m, k] * W[k, n]: A streams
/// through the array, W is stationary in it.
struct MatrixProduct {
  const ir::Access* streamed = nullptr;
  const ir::Access* stationary = nullptr;
  LoopSet groups;     ///< in both operands and the output: channels of a depthwise convolution, attention heads
  LoopSet rows;       ///< m: in the streamed operand and the output, or only in the output
  LoopSet columns;    ///< n: in the stationary operand and the output
  LoopSet reduction;  ///< k: not in the output
};

/// Nothing for einsums that are no multiply-accumulate of exactly two tensor elements. `stationary`: which operand (0
/// or 1) stays in the array.
[[nodiscard]] std::optional<MatrixProduct> matrix_product(const ir::Einsum& einsum, std::size_t stationary);

/// Consecutive values of a loop set that are worked on together: all inner loops in full, one loop in part, one value
/// of each outer loop. Blocks of one set tile it; the last ones are smaller.
struct Blocking {
  std::vector<std::int64_t> extents;  ///< of each loop of the set
  std::int64_t size = 1;              ///< iterations of a full block
  std::int64_t blocks = 1;            ///< number of blocks
  std::int64_t rest = 0;              ///< iterations of each smaller block, 0 if there is none
  std::int64_t rests = 0;             ///< number of smaller blocks among `blocks`
};
/// The whole set, then ever smaller ones: the partial loop is halved until it is one, then the next inner loop.
[[nodiscard]] std::vector<Blocking> blockings(const ir::Einsum& einsum, const LoopSet& set);

}  // namespace cosearch::asic
