#include <gtest/gtest.h>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

struct Case {
  std::int64_t m, n, k;
};

class GemmTest : public testing::TestWithParam<Case> {};

TEST_P(GemmTest, MatchesTheDefinitionForAllTransposesStridesAndBetas) {
  const auto [m, n, k] = GetParam();
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const double beta : {0.0, 1.0, -0.5}) {
        const std::int64_t lda = (transpose_a ? m : k) + 3;
        const std::int64_t ldb = (transpose_b ? k : n) + 1;
        const std::int64_t ldc = n + 5;
        const naive::Values a = naive::random((transpose_a ? k : m) * lda, 1);
        const naive::Values b = naive::random((transpose_b ? n : k) * ldb, 2);
        naive::Values c = naive::random(m * ldc, 3);
        const AlignedFloats a_floats = naive::floats(a);
        const AlignedFloats b_floats = naive::floats(b);
        AlignedFloats c_floats = naive::floats(c);
        if (beta == 0.0) {
          c_floats.data()[0] = std::numeric_limits<float>::quiet_NaN();  // need not be initialised
        }
        for (std::int64_t i = 0; i < m; ++i) {
          for (std::int64_t j = 0; j < n; ++j) {
            double sum = 0.0;
            for (std::int64_t l = 0; l < k; ++l) {
              sum += a[at(transpose_a ? l * lda + i : i * lda + l)] * b[at(transpose_b ? j * ldb + l : l * ldb + j)];
            }
            c[at(i * ldc + j)] = 0.75 * sum + beta * c[at(i * ldc + j)];
          }
        }
        gemm(transpose_a, transpose_b, m, n, k, 0.75F, a_floats.data(), lda, b_floats.data(), ldb,
             static_cast<float>(beta), c_floats.data(), ldc);
        naive::expect_near(c_floats, c, 1e-5);  // columns beyond n stay as they were
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemmTest,
                         testing::Values(Case{1, 1, 1}, Case{7, 5, 3}, Case{1, 17, 9}, Case{33, 1, 20},
                                         Case{65, 65, 64}, Case{100, 16, 144}, Case{13, 48, 700}));

}  // namespace
}  // namespace cosearch::kernels
