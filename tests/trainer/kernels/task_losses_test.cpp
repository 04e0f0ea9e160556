#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch {
namespace {

/// Sum of the losses, each from its definition.
double naive_regression(kernels::RegressionLoss loss, const naive::Values& x, const naive::Values& target) {
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum +=
        loss == kernels::RegressionLoss::squared ? (x[i] - target[i]) * (x[i] - target[i]) : std::abs(x[i] - target[i]);
  }
  return sum;
}

TEST(TaskLosses, RegressionsMatchTheirDefinitionAndFiniteDifferences) {
  constexpr float kScale = 0.25F;
  for (const auto loss : {kernels::RegressionLoss::squared, kernels::RegressionLoss::absolute}) {
    const naive::Values x = naive::random(37, 1);
    const naive::Values target = naive::random(37, 2);
    const AlignedFloats outputs = naive::floats(x);
    const AlignedFloats targets = naive::floats(target);
    AlignedFloats gradient = naive::unwritten(37);
    EXPECT_NEAR(kernels::regression_loss(loss, 37, kScale, outputs.data(), targets.data(), gradient.data()),
                naive_regression(loss, x, target), 1e-5);
    for (std::size_t i = 0; i < x.size(); ++i) {
      constexpr double kStep = 1e-6;
      naive::Values above = x;
      naive::Values below = x;
      above[i] += kStep;
      below[i] -= kStep;
      const double slope =
          (naive_regression(loss, above, target) - naive_regression(loss, below, target)) / (2 * kStep);
      EXPECT_NEAR(gradient.data()[i], kScale * slope, 1e-4) << i;
    }
  }
}

TEST(TaskLosses, RegressionsWithATeacherAreMixturesOfTheirLosses) {
  constexpr float kScale = 0.25F;
  constexpr double kShare = 0.3;
  for (const auto loss : {kernels::RegressionLoss::squared, kernels::RegressionLoss::absolute}) {
    const naive::Values x = naive::random(37, 1);
    const naive::Values target = naive::random(37, 2);
    const naive::Values teacher = naive::random(37, 3);
    const auto mixed = [&](const naive::Values& at) {
      return (1.0 - kShare) * naive_regression(loss, at, target) + kShare * naive_regression(loss, at, teacher);
    };
    const AlignedFloats outputs = naive::floats(x);
    const AlignedFloats targets = naive::floats(target);
    const AlignedFloats taught = naive::floats(teacher);
    AlignedFloats gradient = naive::unwritten(37);
    EXPECT_NEAR(kernels::distillation_regression_loss(loss, 37, kShare, kScale, outputs.data(), targets.data(),
                                                      taught.data(), gradient.data()),
                mixed(x), 1e-5);
    for (std::size_t i = 0; i < x.size(); ++i) {
      constexpr double kStep = 1e-6;
      naive::Values above = x;
      naive::Values below = x;
      above[i] += kStep;
      below[i] -= kStep;
      EXPECT_NEAR(gradient.data()[i], kScale * (mixed(above) - mixed(below)) / (2 * kStep), 1e-4) << i;
    }
  }
}

TEST(TaskLosses, NothingPullsWhatIsMet) {
  const std::vector<float> x{1.5F, -2.0F};
  std::vector<float> gradient(2, 9.0F);
  for (const auto loss : {kernels::RegressionLoss::squared, kernels::RegressionLoss::absolute}) {
    EXPECT_EQ(kernels::regression_loss(loss, 2, 1.0F, x.data(), x.data(), gradient.data()), 0.0);
    EXPECT_EQ(gradient, (std::vector<float>{0.0F, 0.0F}));
  }
}

TEST(TaskLosses, ClassWeightsScaleTheRowsOfTheirLabels) {
  constexpr std::int64_t kRows = 11;
  constexpr std::int64_t kClasses = 3;
  const AlignedFloats x = naive::floats(naive::random(kRows * kClasses, 3));
  const std::vector<float> weights{0.25F, 3.0F, 0.0F};
  std::vector<std::uint8_t> labels;
  for (std::int64_t r = 0; r < kRows; ++r) {
    labels.push_back(static_cast<std::uint8_t>(r % kClasses));
  }
  AlignedFloats gradient = naive::unwritten(kRows * kClasses);
  const double loss = kernels::weighted_cross_entropy(kRows, kClasses, 0.0F, 0.5F, x.data(), labels.data(),
                                                      weights.data(), gradient.data());
  double expected = 0.0;
  for (std::int64_t r = 0; r < kRows; ++r) {
    const float* row = x.data() + r * kClasses;
    double sum = 0.0;
    for (std::int64_t c = 0; c < kClasses; ++c) {
      sum += std::exp(static_cast<double>(row[c]));
    }
    const std::uint8_t label = labels[static_cast<std::size_t>(r)];
    const auto weight = static_cast<double>(weights[label]);
    expected += weight * (std::log(sum) - static_cast<double>(row[label]));
    for (std::int64_t c = 0; c < kClasses; ++c) {
      const double target = c == label ? 1.0 : 0.0;
      EXPECT_NEAR(gradient.data()[r * kClasses + c],
                  0.5 * weight * (std::exp(static_cast<double>(row[c])) / sum - target), 1e-6);
    }
  }
  EXPECT_NEAR(loss, expected, 1e-5);
}

}  // namespace
}  // namespace cosearch
