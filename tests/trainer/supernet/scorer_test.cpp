#include "trainer/supernet/scorer.hpp"

#include <gtest/gtest.h>
#include <tbb/parallel_for.h>

#include <nlohmann/json.hpp>

#include "tests/oracle/naive_network.hpp"
#include "tests/trainer/ops/gradient_problem.hpp"
#include "tests/trainer/supernet/small_spaces.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/supernet/supernet.hpp"

namespace cosearch {
namespace {

using test_supernets::one_task;
using test_supernets::small_space;

TEST(Calibration, StatisticsAreThoseOfTheSamplesAsOneBatch) {
  // 37 samples: several chunks, the last one smaller.
  GradientProblem problem(test_networks::cnn({8, 8, 2}, 4), 37, 6);
  Parameters parameters(problem.graph);
  problem.load(parameters);
  calibrate_batch_norms(problem.graph, parameters, problem.source(), problem.batch);
  // With the old statistics at 0, running = momentum * batch.
  oracle::Weights weights = problem.weights;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (!entry.spec.trainable) {
      weights[entry.spec.name].assign(static_cast<std::size_t>(entry.size), 0.0);
    }
  }
  const oracle::Forward expected = oracle::forward(problem.graph, weights, problem.input, problem.batch, true);
  std::size_t compared = 0;
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (entry.spec.trainable) {
      continue;
    }
    const std::vector<double>& state = expected.states.at(entry.spec.name);
    for (std::size_t i = 0; i < state.size(); ++i) {
      const double value = static_cast<double>(parameters.values()[static_cast<std::size_t>(entry.offset) + i]);
      const double truth = state[i] / graph::BatchNorm{}.momentum;
      EXPECT_NEAR(value, truth, 1e-4 * (1.0 + std::abs(truth))) << entry.spec.name << " " << i;
      ++compared;
    }
  }
  EXPECT_GE(compared, 48U);
}

TEST(Calibration, ForgetsWhatTheStatisticsWere) {
  const GradientProblem problem(test_networks::cnn({8, 8, 2}, 4), 24, 7);
  Parameters once(problem.graph);
  problem.load(once);
  calibrate_batch_norms(problem.graph, once, problem.source(), problem.batch);
  const std::vector<float> first(once.values().begin(), once.values().end());
  calibrate_batch_norms(problem.graph, once, problem.source(), problem.batch);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), once.values().begin()));
}

TEST(Calibration, SharedMemoryDoesNotShow) {
  const auto memory = std::make_shared<TrainingMemory>();
  const auto step = [](const GradientProblem& problem, const std::shared_ptr<TrainingMemory>& shared) {
    Parameters parameters(problem.graph);
    problem.load(parameters);
    TrainingExecutor executor(problem.graph, parameters, problem.batch, shared);
    const double loss = executor.step(problem.source(), problem.labels, 0.1);
    std::vector<float> values;
    for (const Parameters::Entry& entry : parameters.entries()) {
      if (entry.spec.trainable) {
        const float* begin = executor.gradients().data() + entry.offset;
        values.insert(values.end(), begin, begin + entry.size);
      }
    }
    values.push_back(static_cast<float>(loss));
    return values;
  };
  const GradientProblem small(test_networks::cnn({8, 8, 2}, 4), 24, 8);
  const GradientProblem large(test_networks::vit({8, 8, 1}, 4), 32, 9);
  const std::vector<float> expected_small = step(small, std::make_shared<TrainingMemory>());
  const std::vector<float> expected_large = step(large, std::make_shared<TrainingMemory>());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(step(small, memory), expected_small);
    EXPECT_EQ(step(large, memory), expected_large);
  }
}

TEST(Distillation, GradientIsTheDifferenceQuotientOfTheLoss) {
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kColumns = 5;
  const std::vector<std::uint8_t> labels{1, 4, 0};
  std::vector<float> x(kRows * kColumns);
  std::vector<float> teacher(kRows * kColumns);
  RngStream rng(1, Purpose::test, 0);
  for (std::int64_t r = 0; r < kRows; ++r) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < kColumns; ++c) {
      x[static_cast<std::size_t>(r * kColumns + c)] = static_cast<float>(rng.normal());
      sum += static_cast<double>(teacher[static_cast<std::size_t>(r * kColumns + c)] =
                                     static_cast<float>(0.1 + rng.uniform()));
    }
    for (std::int64_t c = 0; c < kColumns; ++c) {
      teacher[static_cast<std::size_t>(r * kColumns + c)] /= static_cast<float>(sum);
    }
  }
  std::vector<float> gradient(x.size());
  std::vector<float> ignored(x.size());
  const auto loss = [&](std::vector<float>& out) {
    return kernels::distillation_cross_entropy(kRows, kColumns, 0.1F, 0.3, 1.0F, x.data(), labels.data(), nullptr,
                                               teacher.data(), out.data());
  };
  static_cast<void>(loss(gradient));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float here = x[i];
    constexpr float kStep = 1e-2F;
    x[i] = here + kStep;
    const double above = loss(ignored);
    x[i] = here - kStep;
    const double below = loss(ignored);
    x[i] = here;
    EXPECT_NEAR(static_cast<double>(gradient[i]), (above - below) / (2.0 * static_cast<double>(kStep)), 2e-4);
  }
  // With the labels as teacher it is the plain loss without smoothing.
  std::fill(teacher.begin(), teacher.end(), 0.0F);
  for (std::size_t r = 0; r < labels.size(); ++r) {
    teacher[r * kColumns + labels[r]] = 1.0F;
  }
  const double own = kernels::distillation_cross_entropy(kRows, kColumns, 0.0F, 1.0, 1.0F, x.data(), labels.data(),
                                                         nullptr, teacher.data(), gradient.data());
  const double plain =
      kernels::softmax_cross_entropy(kRows, kColumns, 0.0F, 1.0F, x.data(), labels.data(), ignored.data());
  EXPECT_NEAR(own, plain, 1e-6);
}

TEST(Distillation, ClassWeightsScaleWholeRows) {
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kColumns = 2;
  const std::vector<std::uint8_t> labels{1, 0, 1};
  const std::vector<float> x{0.5F, -1.0F, 2.0F, 0.25F, -0.75F, 1.5F};
  const std::vector<float> teacher{0.25F, 0.75F, 0.5F, 0.5F, 0.875F, 0.125F};
  const std::vector<float> weights{0.5F, 3.0F};
  std::vector<float> gradient(x.size());
  const double loss = kernels::distillation_cross_entropy(kRows, kColumns, 0.1F, 0.3, 0.5F, x.data(), labels.data(),
                                                          weights.data(), teacher.data(), gradient.data());
  double expected = 0.0;
  for (std::int64_t r = 0; r < kRows; ++r) {
    const std::int64_t at = r * kColumns;
    const float weight = weights[labels[static_cast<std::size_t>(r)]];
    std::vector<float> row(kColumns);
    expected += static_cast<double>(weight) *
                kernels::distillation_cross_entropy(1, kColumns, 0.1F, 0.3, 0.5F, x.data() + at, labels.data() + r,
                                                    nullptr, teacher.data() + at, row.data());
    for (std::int64_t c = 0; c < kColumns; ++c) {
      EXPECT_FLOAT_EQ(gradient[static_cast<std::size_t>(at + c)], weight * row[static_cast<std::size_t>(c)]);
    }
  }
  EXPECT_NEAR(loss, expected, 1e-12);
}

TEST(SubnetScorer, GivesTheAccuracyOfTheSlicesAndTheSameInAnyThread) {
  const TaskData data = test_supernets::small_data();
  const SubnetSpace space = make_subnet_space(small_space("mobile_cnn"));
  SubnetScorer scorer(make_supernet(space, 2), one_task(data), {.calibration_samples = 48});
  std::vector<graph::NetworkGraph> networks;
  for (std::uint64_t i = 0; i < 6; ++i) {
    RngStream rng(3, Purpose::test, i);
    networks.push_back(space.sample(rng));
  }
  std::vector<double> parallel(networks.size());
  tbb::parallel_for(std::size_t{0}, networks.size(), [&](std::size_t i) {
    parallel[i] = scorer.scores(networks[i], &TaskData::search).value().front().value;
  });
  for (std::size_t i = 0; i < networks.size(); ++i) {
    WeightStore weights = WeightStore::for_network(networks[i], 1);
    ASSERT_TRUE(scorer.initialize(networks[i], weights));
    EXPECT_EQ(evaluate_accuracy(networks[i], data, data.search, weights), parallel[i]);
    for (const auto& [name, weight] : weights.weights()) {
      if (weight.spec.trainable) {
        EXPECT_EQ(weight.values, scorer.store().slice(weight.spec)) << name;
      }
    }
  }
}

TEST(SubnetScorer, NetworksThatTheSupernetDoesNotHoldAreInfeasible) {
  const TaskData data = test_supernets::small_data();
  const SubnetSpace cnn = make_subnet_space(small_space("mobile_cnn"));
  const SubnetSpace vit = make_subnet_space(small_space("vit"));
  SubnetScorer scorer(make_supernet(cnn, 2), one_task(data), {});
  EXPECT_FALSE(scorer.scores(vit.corners.front(), &TaskData::search).has_value());
  WeightStore weights = WeightStore::for_network(vit.corners.front(), 1);
  EXPECT_FALSE(scorer.initialize(vit.corners.front(), weights));
}

}  // namespace
}  // namespace cosearch
