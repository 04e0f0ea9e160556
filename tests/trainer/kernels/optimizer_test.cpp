#include <gtest/gtest.h>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

TEST(UpdateKernels, SumsFollowTheOrderOfTheParts) {
  // In single precision (1e8 + 1) - 1e8 is 0 and (1e8 - 1e8) + 1 is 1: the order is visible.
  const std::array<float, 3> large = {0.0F, 1e8F, 1e8F};
  const std::array<float, 3> one = {0.0F, 1.0F, -1e8F};
  const std::array<float, 3> negative = {0.0F, -1e8F, 1.0F};
  const std::array<const float*, 3> parts = {large.data(), one.data(), negative.data()};
  std::array<float, 2> sum{};
  accumulate_in_order(eigen_dense(), 2, 3, parts.data(), 1, sum.data());
  EXPECT_EQ(sum[0], 0.0F);
  EXPECT_EQ(sum[1], 1.0F);
}

TEST(UpdateKernels, SumOfSquaresMatchesTheDefinition) {
  const naive::Values x = naive::random(1003, 1);
  double expected = 0.0;
  for (const double value : x) {
    expected += value * value;
  }
  EXPECT_NEAR(sum_of_squares(1003, naive::floats(x).data()), expected, 1e-9 * expected);
}

TEST(UpdateKernels, SgdFollowsTheScalarRecurrence) {
  const std::int64_t count = 37;
  naive::Values w = naive::random(count, 1);
  naive::Values v(w.size(), 0.0);
  AlignedFloats w_floats = naive::floats(w);
  AlignedFloats v_floats(count);
  for (std::uint64_t step = 0; step < 20; ++step) {
    const naive::Values gradient = naive::random(count, 100 + step);
    const double rate = 0.1 / static_cast<double>(step + 1);
    for (std::size_t i = 0; i < w.size(); ++i) {
      v[i] = 0.9 * v[i] + 0.5 * gradient[i] + 0.01 * w[i];
      w[i] -= rate * v[i];
    }
    sgd_update({static_cast<float>(rate), 0.9F, 0.01F, 0.5F}, count, naive::floats(gradient).data(), w_floats.data(),
               v_floats.data());
  }
  naive::expect_near(w_floats, w, 1e-6);
  naive::expect_near(v_floats, v, 1e-6);
}

TEST(UpdateKernels, AdamwFollowsTheScalarRecurrence) {
  const std::int64_t count = 37;
  naive::Values w = naive::random(count, 1);
  naive::Values m(w.size(), 0.0), v(w.size(), 0.0);
  AlignedFloats w_floats = naive::floats(w);
  AlignedFloats m_floats(count), v_floats(count);
  for (int step = 1; step <= 20; ++step) {
    const naive::Values gradient = naive::random(count, 100 + static_cast<std::uint64_t>(step));
    const double rate = 0.01;
    const double m_correction = 1.0 / (1.0 - std::pow(0.9, step));
    const double v_correction = 1.0 / (1.0 - std::pow(0.999, step));
    for (std::size_t i = 0; i < w.size(); ++i) {
      w[i] -= rate * 0.1 * w[i];
      m[i] = 0.9 * m[i] + 0.1 * 2.0 * gradient[i];
      v[i] = 0.999 * v[i] + 0.001 * 4.0 * gradient[i] * gradient[i];
      w[i] -= rate * m[i] * m_correction / (std::sqrt(v[i] * v_correction) + 1e-8);
    }
    adamw_update(
        {0.01F, 0.9F, 0.999F, 1e-8F, 0.1F, 2.0F, static_cast<float>(m_correction), static_cast<float>(v_correction)},
        count, naive::floats(gradient).data(), w_floats.data(), m_floats.data(), v_floats.data());
  }
  // 1 - beta2 is rounded to single precision: 0.001 has then a relative error of 1e-5.
  naive::expect_near(w_floats, w, 1e-5);
  naive::expect_near(m_floats, m, 1e-5);
  naive::expect_near(v_floats, v, 5e-5);
}

TEST(Backend, NamesLibraryAndInstructionSet) {
  EXPECT_NE(dense(Precision::fp32).name().find("eigen 3."), std::string::npos);
  EXPECT_NE(dense(Precision::fp32).name().find(" l1 "), std::string::npos);
}

}  // namespace
}  // namespace cosearch::kernels
