// Networks that classify pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "tests/trainer/ops/gradient_problem.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/train/batch_sequence.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {
namespace {

/// Convolutions that keep the size, one output per class at each position.
graph::NetworkGraph segmenter(const graph::Shape& input, std::int64_t classes, std::int64_t width = 8) {
  graph::Builder b("segmenter", input);
  for (int i = 0; i < 2; ++i) {
    const std::string name = "block" + std::to_string(i);
    b.then(name + ".conv", test_networks::conv(b, width, 3, 1));
    b.then(name + ".bn", graph::BatchNorm{});
    b.then(name + ".act", graph::Activation{graph::ActivationKind::relu});
  }
  b.then("head", test_networks::conv(b, classes, 1, 1, 1, true));
  return std::move(b).finish();
}

const TaskData& cells() {
  static const TaskData data = make_cells_data({{"name", "cells"}, {"size", 16}, {"train", 64}, {"search", 32}});
  return data;
}

TEST(DenseLabels, LossAndGradientsMatchFiniteDifferences) {
  for (const std::int64_t batch : {1, 5}) {
    const GradientProblem problem(segmenter({5, 4, 2}, 3, 4), batch, 3, 20);
    const TrainerStep step = trainer_step(problem);
    EXPECT_NEAR(step.loss, problem.loss(problem.weights), 1e-5);
    for (const auto& [name, gradient] : step.gradients) {
      for (std::size_t i = 0; i < gradient.size(); i += 3) {
        const double expected = problem.difference(name, i);
        EXPECT_NEAR(gradient[i], expected, 1e-4 + 1e-3 * std::abs(expected)) << name << "[" << i << "]";
      }
    }
  }
}

TEST(DenseLabels, TeachersSpeakOfEachPixel) {
  const GradientProblem problem(segmenter({5, 4, 2}, 3, 4), 5, 3, 20);
  Parameters parameters(problem.graph);
  problem.load(parameters);
  TrainingExecutor executor(problem.graph, parameters, problem.batch);
  std::vector<float> probabilities(5 * 20 * 3);
  (void)executor.step(problem.source(), {.labels = problem.labels, .predictions = probabilities});
  for (std::size_t row = 0; row < probabilities.size(); row += 3) {
    EXPECT_NEAR(probabilities[row] + probabilities[row + 1] + probabilities[row + 2], 1.0, 1e-5);
  }
  // A network that is its own teacher has nothing to learn.
  (void)executor.step(problem.source(), {.labels = problem.labels, .teacher = probabilities, .teacher_weight = 1.0});
  for (const float gradient : executor.gradients()) {
    EXPECT_NEAR(gradient, 0.0, 1e-6);
  }
}

struct Trained {
  TrainResult result;
  WeightStore store;
};

Trained run(const TrainOptions& options) {
  const graph::NetworkGraph network = segmenter(cells().train.sample, 2);
  Trained trained{{}, WeightStore::for_network(network, 5)};
  const auto result = train(network, cells(), cells().search, options, 5, trained.store);
  EXPECT_TRUE(result.has_value());
  trained.result = *result;
  return trained;
}

TEST(DenseLabels, ASmallNetworkLearnsToFindCells) {
  // Nothing but background scores 0; everything cell scores the share of cells.
  const Trained trained = run({.epochs = 10, .batch = 16, .learning_rate = 0.1});
  double share = 0.0;
  for (const std::uint8_t label : cells().search.labels) {
    share += label / static_cast<double>(cells().search.labels.size());
  }
  EXPECT_GT(trained.result.accuracy, share + 0.25);
  const graph::NetworkGraph network = segmenter(cells().train.sample, 2);
  EXPECT_EQ(evaluate_accuracy(network, cells(), cells().search, trained.store), trained.result.accuracy);
}

TEST(DenseLabels, BitsDoNotDependOnTheNumberOfThreads) {
  std::vector<Trained> runs;
  for (const int threads : {1, 2, 8}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
    tbb::task_arena arena(threads);
    arena.execute([&] {
      runs.push_back(
          run({.epochs = 2, .batch = 13, .train_samples = 40, .learning_rate = 0.1, .shift = 2, .flip = true}));
    });
  }
  for (const Trained& other : runs) {
    EXPECT_EQ(other.result.accuracy, runs[0].result.accuracy);
    EXPECT_EQ(other.result.train_loss, runs[0].result.train_loss);
    for (const auto& [name, weight] : other.store.weights()) {
      EXPECT_EQ(weight.values, runs[0].store.at(name).values) << name;
    }
  }
}

TEST(DenseLabels, AugmentationMovesPixelsAndLabelsTogether) {
  // Pixels that say their label.
  TaskData data;
  data.train = {.sample = {6, 5, 1}, .classes = 30, .pixels = {}, .labels = {}, .dense = true};
  for (std::size_t i = 0; i < 8 * 30; ++i) {
    data.train.labels.push_back(static_cast<std::uint8_t>(i * 7 % 30));
  }
  data.train.pixels = data.train.labels;
  data.std_dev = 1.0 / 255.0;  // normalised pixels are the bytes
  BatchSequence batches(data, {.epochs = 3, .batch = 4, .shift = 2, .flip = true}, 9);
  ASSERT_EQ(batches.labels().size(), 4U * 30U);
  const InputSource source = batches.input({6, 5, 1});
  int changed = 0;
  for (std::int64_t step = 0; step < batches.steps(); ++step) {
    batches.select(step);
    std::vector<float> pixels(4 * 30);
    source(0, 4, pixels.data());
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      ASSERT_NEAR(pixels[i], batches.labels()[i], 1e-3);
      changed += batches.labels()[i] == 0 ? 1 : 0;
    }
  }
  EXPECT_GT(changed, 60);  // shifts moved background in; without them 4 of 120 labels are 0
}

TEST(DenseLabels, SubsetsTakeWholeSamples) {
  EXPECT_EQ(balanced_subset(cells().train, 0, 1).size(), 64U);
  const auto some = balanced_subset(cells().train, 10, 1);
  EXPECT_EQ(some.size(), 10U);
  EXPECT_LT(some.back(), 64);
  EXPECT_NE(some, balanced_subset(cells().train, 10, 2));
}

TEST(DenseLabels, NetworksThatEndOtherwiseAreRefused) {
  const graph::NetworkGraph classifier = test_networks::cnn({16, 16, 1}, 2);
  WeightStore store = WeightStore::for_network(classifier, 1);
  try {
    (void)train(classifier, cells(), cells().search, {}, 1, store);
    FAIL() << "trained";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "network cnn ends with shape (2); the data set has 2 classes for each of 16 x 16 pixels");
  }
}

}  // namespace
}  // namespace cosearch
