#include "trainer/train/optimizer.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/train/networks.hpp"
#include "trainer/train/learning_rate.hpp"

namespace cosearch {
namespace {

TEST(LearningRate, RisesLinearlyThenFallsAlongACosine) {
  const TrainOptions options{.learning_rate = 2.0, .warmup = 0.25};
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0, 16), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 1, 16), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 3, 16), 2.0);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 4, 16), 2.0);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 10, 16), 1.0);                                          // half of the way
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 7, 16), 1.0 + std::cos(std::acos(-1.0) * 3.0 / 12.0));  // a quarter
  EXPECT_GT(learning_rate_at(options, 15, 16), 0.0);
}

TEST(LearningRate, WithoutWarmupStartsAtTheFullRate) {
  const TrainOptions options{.learning_rate = 0.5, .warmup = 0.0};
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0, 3), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0, 1), 0.5);
}

class OptimizerTest : public testing::TestWithParam<OptimizerKind> {
 protected:
  OptimizerTest() : parameters_(test_networks::cnn({8, 8, 2}, 4)) {
    std::fill(parameters_.values().begin(), parameters_.values().end(), 2.0F);
    gradients_ = AlignedFloats(parameters_.trainable_size());
  }
  Parameters parameters_;
  AlignedFloats gradients_;
};

TEST_P(OptimizerTest, DecaysOnlyWhereTheWeightSaysSo) {
  Optimizer optimizer({.optimizer = GetParam(), .momentum = 0.0, .weight_decay = 0.5}, parameters_);
  optimizer.update(0, 0.25, gradients_.span(), parameters_);
  bool kept = false;
  for (const Parameters::Entry& entry : parameters_.entries()) {
    const bool decays = entry.spec.trainable && entry.spec.decay;
    const float expected = decays ? 2.0F - 0.25F * 0.5F * 2.0F : 2.0F;
    kept = kept || (entry.spec.trainable && !decays);
    for (std::int64_t i = 0; i < entry.size; ++i) {
      ASSERT_EQ(parameters_.values()[static_cast<std::size_t>(entry.offset + i)], expected) << entry.spec.name;
    }
  }
  EXPECT_TRUE(kept) << "the network has weights that do not decay";
}

TEST_P(OptimizerTest, ClipsToTheGlobalNorm) {
  const TrainOptions options{.optimizer = GetParam(), .momentum = 0.0, .weight_decay = 0.0, .clip_norm = 3.0};
  std::fill_n(gradients_.data(), gradients_.size(), 0.0F);
  std::int64_t weights = 0;
  for (const Parameters::Entry& entry : parameters_.entries()) {
    if (entry.spec.trainable) {
      std::fill_n(gradients_.data() + entry.offset, entry.size, 5.0F);
      weights += entry.size;
    }
  }
  Optimizer optimizer(options, parameters_);
  optimizer.update(0, 1.0, gradients_.span(), parameters_);
  // Velocity, or (1 - beta1) times the gradient: in both the norm of the gradient that was used can be read.
  double norm = 0.0;
  for (const float value : optimizer.state().first(static_cast<std::size_t>(parameters_.trainable_size()))) {
    norm += static_cast<double>(value) * static_cast<double>(value);
  }
  const double factor = GetParam() == OptimizerKind::sgd ? 1.0 : 0.1;
  EXPECT_NEAR(std::sqrt(norm), 3.0 * factor, 1e-4);
  ASSERT_GT(5.0 * std::sqrt(static_cast<double>(weights)), 3.0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, OptimizerTest, testing::Values(OptimizerKind::sgd, OptimizerKind::adamw));

}  // namespace
}  // namespace cosearch
