#pragma once

#include <cstdint>
#include <vector>

namespace cosearch::asic {

/// A weight-stationary systolic array: activations enter at the left edge and move right, partial sums move down and
/// leave at the bottom, weights are written row by row before a pass.
struct ArrayShape {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
};

/// One use of the array with one set of weights: `rows` x `columns` of it hold weights, `vectors` activations stream
/// through each row.
struct Pass {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  std::int64_t vectors = 1;
};

/// Cycles of a pass: one per row of weights, then until the last partial sum has left. Vector m meets row i and column
/// j in cycle m + i + j, and results pass through all physical rows, so streaming takes vectors + array.rows + columns
/// - 2. The formula of SCALE-Sim's weight-stationary fold (Samajdar et al., ISPASS 2020), with what a fold really
/// uses in the place of full rows and columns; the test executes the array cycle by cycle.
[[nodiscard]] std::int64_t pass_cycles(const ArrayShape& array, const Pass& pass);

/// `extent` cut into pieces of at most `limit`: sizes with how often they occur.
struct Pieces {
  std::int64_t size = 0;
  std::int64_t count = 0;
};
[[nodiscard]] std::vector<Pieces> cut(std::int64_t extent, std::int64_t limit);

}  // namespace cosearch::asic
