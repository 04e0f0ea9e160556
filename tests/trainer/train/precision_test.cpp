#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/trainer/train/allocation_counter.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/kernels/fp16_mcu/round_to_half.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/train/optimizer.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {
namespace {

const TaskData& synthetic() {
  static const TaskData data = make_synthetic_data({{"name", "synthetic"},
                                                    {"height", 8},
                                                    {"width", 8},
                                                    {"classes", 4},
                                                    {"train", 320},
                                                    {"search", 120},
                                                    {"test", 8}});
  return data;
}

graph::NetworkGraph cnn() { return test_networks::cnn({8, 8, 1}, 4); }
graph::NetworkGraph vit() { return test_networks::vit({8, 8, 1}, 4); }

struct Trained {
  TrainResult result;
  WeightStore store;
};

Trained run(const graph::NetworkGraph& network, const TrainOptions& options) {
  Trained trained{{}, WeightStore::for_network(network, 5)};
  const auto result = train(network, synthetic(), synthetic().search, options, 5, trained.store);
  EXPECT_TRUE(result.has_value());
  trained.result = *result;
  return trained;
}

void expect_same_bits(const Trained& a, const Trained& b) {
  EXPECT_EQ(a.result.accuracy, b.result.accuracy);
  for (const auto& [name, weight] : a.store.weights()) {
    EXPECT_EQ(weight.values, b.store.at(name).values) << name;
  }
}

class Fp16Mcu : public testing::TestWithParam<Precision> {
 protected:
  static TrainOptions recipe(double epochs) {
    return {.epochs = epochs, .batch = 40, .learning_rate = 0.1, .clip_norm = 1.0, .precision = GetParam()};
  }
};

TEST_P(Fp16Mcu, LearnsSyntheticData) {
  EXPECT_GT(run(cnn(), recipe(12)).result.accuracy, 0.95);
  TrainOptions options = recipe(12);
  options.optimizer = OptimizerKind::adamw;
  options.learning_rate = 0.01;
  EXPECT_GT(run(vit(), options).result.accuracy, 0.95);
}

TEST_P(Fp16Mcu, BitsDoNotDependOnTheNumberOfThreads) {
  for (const graph::NetworkGraph& network : {cnn(), vit()}) {
    std::vector<Trained> runs;
    for (const int threads : {1, 2, 8}) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
      tbb::task_arena arena(threads);
      arena.execute([&] { runs.push_back(run(network, recipe(2))); });
    }
    expect_same_bits(runs[0], runs[1]);
    expect_same_bits(runs[0], runs[2]);
  }
}

TEST_P(Fp16Mcu, TrainableWeightsAreFp16Numbers) {
  const Trained trained = run(cnn(), recipe(1));
  for (const auto& [name, weight] : trained.store.weights()) {
    for (const float value : weight.values) {
      if (weight.spec.trainable) {
        ASSERT_EQ(value, kernels::round_to_half(value)) << name;
      }
    }
  }
}

/// One network, one batch, and what a step leaves.
struct Step {
  explicit Step(const graph::NetworkGraph& step_network, Precision precision)
      : network(step_network), parameters(network, precision), optimizer({.momentum = 0.9}, parameters) {
    parameters.load(WeightStore::for_network(network, 3));
  }
  void run(std::int64_t step) {
    const InputSource input = [](std::int64_t first, std::int64_t count, float* out) {
      for (std::int64_t i = 0; i < count * 64; ++i) {
        out[i] = static_cast<float>((first * 64 + i) * 7919 % 1000) * 0.002F - 1.0F;
      }
    };
    static_cast<void>(executor.step(input, {.labels = labels, .loss_scale = loss_scale}));
    optimizer.update(step, 0.01, executor.gradients(), parameters);
  }
  graph::NetworkGraph network;
  Parameters parameters;
  Optimizer optimizer;
  std::vector<std::uint8_t> labels = std::vector<std::uint8_t>(24, 1);
  double loss_scale = 1.0;
  TrainingExecutor executor{network, parameters, 24};
};

TEST_P(Fp16Mcu, GradientsAndVelocitiesAreFp16Numbers) {
  Step step(cnn(), GetParam());
  step.run(0);
  for (const std::span<const float> values : {step.executor.gradients(), std::as_const(step.optimizer).state()}) {
    float largest = 0.0F;
    for (const float value : values) {
      ASSERT_EQ(value, kernels::round_to_half(value));
      largest = std::max(largest, std::abs(value));
    }
    EXPECT_GT(largest, 1e-3F);
  }
}

TEST_P(Fp16Mcu, GradientsAreNearThoseOfFp32) {
  for (const graph::NetworkGraph& network : {cnn(), vit()}) {
    Step half(network, GetParam());
    Step single(network, Precision::fp32);
    half.run(0);
    single.run(0);
    double error = 0.0;
    double norm = 0.0;
    for (std::size_t i = 0; i < single.executor.gradients().size(); ++i) {
      const double expected = single.executor.gradients()[i];
      error += (half.executor.gradients()[i] - expected) * (half.executor.gradients()[i] - expected);
      norm += expected * expected;
    }
    EXPECT_LT(std::sqrt(error / norm), 0.02) << network.name;
    EXPECT_GT(error, 0.0);
  }
}

TEST_P(Fp16Mcu, StepsAfterTheFirstAllocateNothing) {
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  for (const graph::NetworkGraph& network : {cnn(), vit()}) {
    Step step(network, GetParam());
    step.run(0);
    const std::int64_t before = count_allocations();
    step.run(1);
    step.run(2);
    EXPECT_EQ(count_allocations(), before) << network.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Accumulation, Fp16Mcu,
                         testing::Values(Precision::fp16_mcu, Precision::fp16_mcu_fp32_accumulate));

TEST(LossScale, IsTakenOutBeforeTheUpdate) {
  // Powers of two change nothing in fp32.
  TrainOptions options{.epochs = 1, .batch = 40, .learning_rate = 0.1, .clip_norm = 1.0};
  const Trained plain = run(cnn(), options);
  options.loss_scale = 1024.0;
  expect_same_bits(plain, run(cnn(), options));
}

TEST(LossScale, KeepsSmallGradientsFromVanishingInFp16) {
  const auto gradients = [](Precision precision, double loss_scale) {
    Step step(vit(), precision);
    step.loss_scale = loss_scale;
    step.run(0);
    return std::vector<float>(step.executor.gradients().begin(), step.executor.gradients().end());
  };
  const auto zeros = [](const std::vector<float>& values) { return std::count(values.begin(), values.end(), 0.0F); };
  const auto never = zeros(gradients(Precision::fp32, 0x1p-20));  // gaps between weights
  EXPECT_GT(zeros(gradients(Precision::fp16_mcu, 0x1p-20)), never);
  EXPECT_EQ(zeros(gradients(Precision::fp16_mcu, 256.0)), never);
}

}  // namespace
}  // namespace cosearch
