#include "hwmodels/asic/array.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "spaces/base/rng.hpp"

namespace cosearch::asic {
namespace {

using Matrix = std::vector<std::vector<std::int64_t>>;

Matrix random_matrix(RngStream& rng, std::int64_t rows, std::int64_t columns) {
  Matrix matrix(static_cast<std::size_t>(rows), std::vector<std::int64_t>(static_cast<std::size_t>(columns)));
  for (auto& row : matrix) {
    for (std::int64_t& value : row) {
      value = static_cast<std::int64_t>(rng.below(15)) - 7;
    }
  }
  return matrix;
}

struct Execution {
  Matrix product;
  std::int64_t cycles = 0;
};

/// The array, register by register. Weights are written one row per cycle. Then in each cycle every element takes the
/// activation of its left and the partial sum of its upper neighbour's registers, multiplies, adds, and stores both for
/// the next cycle; row i gets vector m in cycle m + i. Ends when the last result has left the bottom.
Execution execute(const ArrayShape& array, const Matrix& weights, const Matrix& vectors) {
  const auto rows = static_cast<std::size_t>(array.rows);
  const auto columns = static_cast<std::size_t>(array.columns);
  const std::size_t used_rows = weights.size();
  const std::size_t used_columns = weights[0].size();
  Matrix held(rows, std::vector<std::int64_t>(columns, 0));
  Execution run;
  for (std::size_t i = 0; i < used_rows; ++i) {
    for (std::size_t j = 0; j < used_columns; ++j) {
      held[i][j] = weights[i][j];
    }
    ++run.cycles;
  }
  run.product.assign(vectors.size(), std::vector<std::int64_t>(used_columns, 0));
  std::vector<std::vector<std::optional<std::int64_t>>> activation(rows,
                                                                   std::vector<std::optional<std::int64_t>>(columns));
  std::vector<std::vector<std::optional<std::int64_t>>> sum = activation;
  std::vector<std::size_t> left(columns, 0);  // results that have left each column
  for (std::size_t cycle = 0; left[used_columns - 1] < vectors.size(); ++cycle) {
    ++run.cycles;
    auto next_activation = activation;
    auto next_sum = sum;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        std::optional<std::int64_t> in;
        if (j > 0) {
          in = activation[i][j - 1];
        } else if (cycle >= i && cycle - i < vectors.size()) {
          in = i < used_rows ? vectors[cycle - i][i] : 0;
        }
        next_activation[i][j] = in;
        next_sum[i][j].reset();
        if (in) {
          const std::int64_t above = i > 0 ? sum[i - 1][j].value() : 0;
          next_sum[i][j] = above + held[i][j] * *in;
        }
      }
    }
    activation = next_activation;
    sum = next_sum;
    for (std::size_t j = 0; j < used_columns; ++j) {
      if (sum[rows - 1][j]) {
        run.product[left[j]++][j] = *sum[rows - 1][j];
      }
    }
  }
  return run;
}

TEST(Array, PassCyclesAndResultsEqualThoseOfAnExecutedArray) {
  RngStream rng(3, Purpose::test, 0);
  for (int trial = 0; trial < 150; ++trial) {
    const auto pick = [&rng](std::uint64_t most) { return static_cast<std::int64_t>(rng.below(most)) + 1; };
    const ArrayShape array{pick(6), pick(6)};
    const Pass pass{pick(static_cast<std::uint64_t>(array.rows)), pick(static_cast<std::uint64_t>(array.columns)),
                    pick(9)};
    const Matrix weights = random_matrix(rng, pass.rows, pass.columns);
    const Matrix vectors = random_matrix(rng, pass.vectors, pass.rows);
    const Execution run = execute(array, weights, vectors);
    EXPECT_EQ(run.cycles, pass_cycles(array, pass));
    for (std::size_t m = 0; m < vectors.size(); ++m) {
      for (std::size_t n = 0; n < weights[0].size(); ++n) {
        std::int64_t expected = 0;
        for (std::size_t k = 0; k < weights.size(); ++k) {
          expected += vectors[m][k] * weights[k][n];
        }
        ASSERT_EQ(run.product[m][n], expected);
      }
    }
  }
}

TEST(Array, CutCoversTheExtentWithPiecesOfAtMostTheLimit) {
  for (std::int64_t extent = 1; extent < 40; ++extent) {
    for (std::int64_t limit = 1; limit < 12; ++limit) {
      std::int64_t sum = 0;
      for (const Pieces& piece : cut(extent, limit)) {
        EXPECT_GT(piece.size, 0);
        EXPECT_LE(piece.size, limit);
        sum += piece.size * piece.count;
      }
      EXPECT_EQ(sum, extent);
    }
  }
}

}  // namespace
}  // namespace cosearch::asic
