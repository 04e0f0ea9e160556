#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "spaces/ir/workload.hpp"

namespace cosearch::maestro {

/// Loops of an einsum that play one part in its matrix products, in loop order, and the product of their extents.
struct LoopSet {
  std::vector<int> loops;
  std::int64_t extent = 1;
};

/// A multiply-accumulate einsum as `groups` independent products O[m, n] = sum over k of A[m, k] * W[k, n]: A is the
/// streamed and W the stationary operand.
struct MatrixProduct {
  const ir::Access* streamed = nullptr;
  const ir::Access* stationary = nullptr;
  LoopSet groups;     ///< in both operands and the output: channels of a depthwise convolution, attention heads
  LoopSet rows;       ///< m: in the streamed operand and the output, or only in the output
  LoopSet columns;    ///< n: in the stationary operand and the output
  LoopSet reduction;  ///< k: not in the output
};

/// Nothing for einsums that are no multiply-accumulate of exactly two tensor elements. `stationary`: which operand (0
/// or 1) is W.
[[nodiscard]] std::optional<MatrixProduct> matrix_product(const ir::Einsum& einsum, std::size_t stationary);

}  // namespace cosearch::maestro
