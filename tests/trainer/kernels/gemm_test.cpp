#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

struct Case {
  std::int64_t m, n, k;
};

std::vector<const Dense*> dense_backends() {
  std::vector<const Dense*> backends{&eigen_dense()};
  if (const Dense* onednn = onednn_dense(Precision::fp32)) {
    backends.push_back(onednn);
  }
  return backends;
}

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
        const naive::Values before = c;
        for (std::int64_t i = 0; i < m; ++i) {
          for (std::int64_t j = 0; j < n; ++j) {
            double sum = 0.0;
            for (std::int64_t l = 0; l < k; ++l) {
              sum += a[at(transpose_a ? l * lda + i : i * lda + l)] * b[at(transpose_b ? j * ldb + l : l * ldb + j)];
            }
            c[at(i * ldc + j)] = 0.75 * sum + beta * c[at(i * ldc + j)];
          }
        }
        for (const Dense* dense : dense_backends()) {
          AlignedFloats result = naive::floats(before);
          if (beta == 0.0) {
            result.data()[0] = std::numeric_limits<float>::quiet_NaN();  // need not be initialised
          }
          dense->gemm(transpose_a, transpose_b, m, n, k, 0.75F, a_floats.data(), lda, b_floats.data(), ldb,
                      static_cast<float>(beta), result.data(), ldc);
          naive::expect_near(result, c, 1e-5);  // columns beyond n stay as they were
        }
      }
    }
  }
}

void expect_linear_matches_the_definition(const Dense& dense, const LinearShape& s, double tolerance) {
  const naive::Values x = naive::random(s.rows * s.inputs, 1);
  const naive::Values w = naive::random(s.inputs * s.outputs, 2);
  const naive::Values bias = naive::random(s.outputs, 3);
  const naive::Values dy = naive::random(s.rows * s.outputs, 4);
  naive::Values y(at(s.rows * s.outputs)), dx(at(s.rows * s.inputs)), dw(at(s.inputs * s.outputs));
  for (std::int64_t r = 0; r < s.rows; ++r) {
    for (std::int64_t o = 0; o < s.outputs; ++o) {
      y[at(r * s.outputs + o)] = bias[at(o)];
      for (std::int64_t i = 0; i < s.inputs; ++i) {
        y[at(r * s.outputs + o)] += x[at(r * s.inputs + i)] * w[at(i * s.outputs + o)];
        dx[at(r * s.inputs + i)] += dy[at(r * s.outputs + o)] * w[at(i * s.outputs + o)];
        dw[at(i * s.outputs + o)] += dy[at(r * s.outputs + o)] * x[at(r * s.inputs + i)];
      }
    }
  }
  const AlignedFloats x_floats = naive::floats(x), w_floats = naive::floats(w), dy_floats = naive::floats(dy);
  const AlignedFloats bias_floats = naive::floats(bias);
  AlignedFloats scratch = naive::unwritten(dense.linear_scratch(s, Use::training));
  AlignedFloats packed = naive::unwritten(dense.linear_packed(s, Use::training));
  AlignedFloats y_floats = naive::unwritten(s.rows * s.outputs);
  AlignedFloats dx_floats = naive::unwritten(s.rows * s.inputs);
  AlignedFloats dw_floats = naive::unwritten(s.inputs * s.outputs);
  LinearShape one_row = s;
  one_row.rows = 1;  // packed weights serve any number of rows
  dense.linear_pack(one_row, Use::training, w_floats.data(), packed.data());
  dense.linear_forward(s, x_floats.data(), w_floats.data(), packed.data(), bias_floats.data(), y_floats.data(),
                       scratch.data());
  dense.linear_backward(s, x_floats.data(), dy_floats.data(), w_floats.data(), packed.data(), dx_floats.data(),
                        dw_floats.data(), scratch.data());
  naive::expect_near(y_floats, y, tolerance);
  naive::expect_near(dx_floats, dx, tolerance);
  naive::expect_near(dw_floats, dw, tolerance);
}

TEST(Linear, MatchesTheDefinition) {
  for (const Dense* dense : dense_backends()) {
    expect_linear_matches_the_definition(*dense, {1, 1, 1}, 1e-5);
    expect_linear_matches_the_definition(*dense, {8, 64, 10}, 1e-5);
    expect_linear_matches_the_definition(*dense, {65, 48, 144}, 1e-5);
    expect_linear_matches_the_definition(*dense, {520, 96, 33}, 1e-5);
  }
}

TEST(Linear, Bf16MatchesTheDefinitionToItsEightBits) {
  const Dense* bf16 = onednn_dense(Precision::bf16);
  if (bf16 == nullptr) {
    GTEST_SKIP() << "no oneDNN or no bf16 instructions";
  }
  expect_linear_matches_the_definition(*bf16, {65, 48, 144}, 2.0 / 256);
  expect_linear_matches_the_definition(*bf16, {520, 96, 33}, 2.0 / 256);
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemmTest,
                         testing::Values(Case{1, 1, 1}, Case{7, 5, 3}, Case{1, 17, 9}, Case{33, 1, 20},
                                         Case{65, 65, 64}, Case{100, 16, 144}, Case{13, 48, 700}));

}  // namespace
}  // namespace cosearch::kernels
