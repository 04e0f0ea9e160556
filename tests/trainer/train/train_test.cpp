#include "trainer/train/train.hpp"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "tests/trainer/temporary_directory.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/net/parallel.hpp"

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

TrainOptions recipe() {
  return {.epochs = 3, .batch = 40, .learning_rate = 0.1, .label_smoothing = 0.05, .shift = 1, .flip = true};
}

struct Trained {
  TrainResult result;
  WeightStore store;
};

Trained run(const graph::NetworkGraph& network, const TrainOptions& options, const ProgressSink& progress = {},
            std::stop_token stop = {}, const std::string& checkpoint = {}, std::uint64_t seed = 5) {
  Trained trained{{}, WeightStore::for_network(network, seed)};
  auto result = train(network, synthetic(), synthetic().search, options, seed, trained.store, progress, std::move(stop),
                      {checkpoint});
  EXPECT_TRUE(result.has_value());
  trained.result = *result;
  return trained;
}

void expect_same_bits(const Trained& a, const Trained& b) {
  EXPECT_EQ(a.result.accuracy, b.result.accuracy);
  EXPECT_EQ(a.result.train_loss, b.result.train_loss);
  EXPECT_EQ(a.result.steps, b.result.steps);
  for (const auto& [name, weight] : a.store.weights()) {
    EXPECT_EQ(weight.values, b.store.at(name).values) << name;
  }
}

TEST(Train, LearnsSyntheticDataWithEitherOptimizer) {
  TrainOptions options = recipe();
  options.epochs = 12;
  options.shift = 0;
  options.flip = false;
  EXPECT_GT(run(cnn(), options).result.accuracy, 0.95);
  options.optimizer = OptimizerKind::adamw;
  options.learning_rate = 0.01;
  EXPECT_GT(run(cnn(), options).result.accuracy, 0.95);
  EXPECT_GT(run(vit(), options).result.accuracy, 0.95);
}

TEST(Train, BitsDoNotDependOnTheNumberOfThreads) {
  for (const graph::NetworkGraph& network : {cnn(), vit()}) {
    TrainOptions options = recipe();
    options.clip_norm = 1.0;
    std::vector<Trained> runs;
    for (const int threads : {1, 2, 8}) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
      tbb::task_arena arena(threads);
      arena.execute([&] { runs.push_back(run(network, options)); });
    }
    expect_same_bits(runs[0], runs[1]);
    expect_same_bits(runs[0], runs[2]);
  }
}

TEST(Train, ManyTrainingsAtOnceGiveTheirOwnBits) {
  const Trained alone = run(cnn(), recipe());
  std::vector<Trained> runs(4);
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 4);  // also where there are fewer cores
  tbb::task_arena arena(4);
  arena.execute(
      [&] { for_each_training(4, [&](std::int64_t i) { runs[static_cast<std::size_t>(i)] = run(cnn(), recipe()); }); });
  for (const Trained& other : runs) {
    expect_same_bits(alone, other);
  }
}

TEST(Train, SeedsDecideTheResult) {
  const Trained a = run(cnn(), recipe(), {}, {}, {}, 5);
  const Trained b = run(cnn(), recipe(), {}, {}, {}, 6);
  EXPECT_NE(a.result.train_loss, b.result.train_loss);
}

TEST(Train, BatchesThatAreNoMultipleOfAChunkTrain) {
  TrainOptions options = recipe();
  options.batch = 13;
  options.epochs = 1.5;
  const Trained result = run(cnn(), options);
  EXPECT_EQ(result.result.steps, 36);  // 24 steps an epoch, 320 / 13 rounded down
}

TEST(Train, SubsetsSmallerThanABatchTrainInOneStepAnEpoch) {
  TrainOptions options = recipe();
  options.train_samples = 10;
  options.evaluate_samples = 7;
  EXPECT_EQ(run(cnn(), options).result.steps, 3);
}

TEST(Train, ProgressReportsEveryStepOfAShortTraining) {
  std::vector<std::int64_t> steps;
  run(cnn(), recipe(), [&](const TrainProgress& progress) {
    steps.push_back(progress.step);
    EXPECT_EQ(progress.steps, 24);
    EXPECT_GT(progress.loss, 0.0);
  });
  EXPECT_EQ(steps.size(), 24U);
  EXPECT_EQ(steps.back(), 24);
}

TEST(Train, StoppedTrainingsSaySoAndContinueToTheSameBits) {
  const testing::TemporaryDirectory directory;
  for (const graph::NetworkGraph& network : {cnn(), vit()}) {
    const std::string path = directory.file(network.name);
    const Trained whole = run(network, recipe());
    for (const std::int64_t stop_at : {1, 7, 8, 19}) {
      std::filesystem::remove(path);
      std::stop_source stop;
      const Trained stopped = run(
          network, recipe(),
          [&](const TrainProgress& progress) {
            if (progress.step == stop_at) {
              stop.request_stop();
            }
          },
          stop.get_token(), path);
      EXPECT_TRUE(stopped.result.stopped);
      EXPECT_EQ(stopped.result.steps, stop_at);
      std::int64_t first_step = 0;
      const Trained continued = run(
          network, recipe(),
          [&](const TrainProgress& progress) { first_step = first_step == 0 ? progress.step : first_step; }, {}, path);
      EXPECT_EQ(first_step, stop_at + 1);
      expect_same_bits(whole, continued);
    }
  }
}

TEST(Train, KilledTrainingsContinueFromTheLastEpochToTheSameBits) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("checkpoint");
  const Trained whole = run(cnn(), recipe());
  // A copy of the file as it was after the first epoch is what a process killed in the second one leaves.
  run(
      cnn(), recipe(),
      [&](const TrainProgress& progress) {
        if (progress.step == 12) {
          std::filesystem::copy_file(path, directory.file("copy"));
        }
      },
      {}, path);
  std::filesystem::rename(directory.file("copy"), path);
  std::int64_t first_step = 0;
  const Trained continued = run(
      cnn(), recipe(),
      [&](const TrainProgress& progress) { first_step = first_step == 0 ? progress.step : first_step; }, {}, path);
  EXPECT_EQ(first_step, 9);
  expect_same_bits(whole, continued);
  EXPECT_EQ(directory.count_files(), 1U);  // no temporary files stay
}

TEST(Train, FinishedTrainingsAreNotRepeated) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("checkpoint");
  const Trained first = run(cnn(), recipe(), {}, {}, path);
  int calls = 0;
  const Trained second = run(
      cnn(), recipe(), [&](const TrainProgress&) { ++calls; }, {}, path);
  EXPECT_EQ(calls, 0);
  expect_same_bits(first, second);
}

TEST(Train, CheckpointsOfOtherTrainingsAndDamagedOnesAreIgnored) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.file("checkpoint");
  const auto first_step_with = [&](const graph::NetworkGraph& network, const TrainOptions& options,
                                   std::uint64_t seed) {
    std::filesystem::copy_file(path, directory.file("used"), std::filesystem::copy_options::overwrite_existing);
    std::int64_t first_step = 0;
    run(
        network, options,
        [&](const TrainProgress& progress) { first_step = first_step == 0 ? progress.step : first_step; }, {},
        directory.file("used"), seed);
    return first_step;
  };
  std::stop_source stop;
  run(
      cnn(), recipe(),
      [&](const TrainProgress& progress) {
        if (progress.step == 10) {
          stop.request_stop();
        }
      },
      stop.get_token(), path);
  TrainOptions other = recipe();
  other.learning_rate = 0.2;
  EXPECT_EQ(first_step_with(cnn(), recipe(), 5), 11);
  EXPECT_EQ(first_step_with(cnn(), recipe(), 6), 1);
  EXPECT_EQ(first_step_with(cnn(), other, 5), 1);
  EXPECT_EQ(first_step_with(vit(), recipe(), 5), 1);

  const std::string bytes = testing::read_file(path);
  testing::write_file(path, bytes.substr(0, bytes.size() - 100));
  EXPECT_EQ(first_step_with(cnn(), recipe(), 5), 1);
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
  testing::write_file(path, flipped);
  EXPECT_EQ(first_step_with(cnn(), recipe(), 5), 1);
  testing::write_file(path, "");
  EXPECT_EQ(first_step_with(cnn(), recipe(), 5), 1);
}

TEST(Train, UnwritableCheckpointsNameThePath) {
  WeightStore store = WeightStore::for_network(cnn(), 1);
  try {
    static_cast<void>(train(cnn(), synthetic(), synthetic().search, recipe(), 1, store, {}, {},
                            {"/nonexistent_directory/checkpoint"}));
    ADD_FAILURE() << "wrote into a directory that does not exist";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent_directory/checkpoint"), std::string::npos);
  }
}

TEST(Train, DivergenceIsInfeasibleAndNamesTheStep) {
  for (const graph::NetworkGraph& network : {cnn(), vit()}) {
    TrainOptions options = recipe();
    options.epochs = 20;
    options.learning_rate = 1e6;
    WeightStore store = WeightStore::for_network(network, 5);
    const auto result = train(network, synthetic(), synthetic().search, options, 5, store);
    ASSERT_FALSE(result.has_value()) << network.name;
    EXPECT_NE(result.error().reason.find(" at step "), std::string::npos) << result.error().reason;
    EXPECT_NE(result.error().reason.find("of 160"), std::string::npos) << result.error().reason;
  }
}

TEST(Train, NetworksThatDoNotFitTheDataAreTheUsersMistake) {
  const std::vector<std::pair<graph::NetworkGraph, std::string>> cases = {
      {test_networks::cnn({8, 8, 1}, 5), "has 4 classes"},
      {test_networks::cnn({8, 8, 1}, 4), ""},
  };
  for (const auto& [network, message] : cases) {
    WeightStore store = WeightStore::for_network(network, 1);
    const auto attempt = [&, &net = network] {
      static_cast<void>(train(net, synthetic(), synthetic().search, recipe(), 1, store));
    };
    if (message.empty()) {
      EXPECT_NO_THROW(attempt());
      continue;
    }
    try {
      attempt();
      ADD_FAILURE() << "accepted";
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }
}

TEST(Train, EvaluationOfTheTrainedStoreRepeatsTheAccuracy) {
  const Trained result = run(cnn(), recipe());
  EXPECT_EQ(evaluate_accuracy(cnn(), synthetic(), synthetic().search, result.store), result.result.accuracy);
  EXPECT_NE(evaluate_accuracy(cnn(), synthetic(), synthetic().search, WeightStore::for_network(cnn(), 5)),
            result.result.accuracy);
}

TEST(Train, EvaluationCountsRightAnswersOneByOne) {
  const Trained result = run(cnn(), recipe());
  const double first = evaluate_accuracy(cnn(), synthetic(), synthetic().search, result.store, 1);
  EXPECT_TRUE(first == 0.0 || first == 1.0);
  const double all = evaluate_accuracy(cnn(), synthetic(), synthetic().search, result.store, 0);
  EXPECT_EQ(all, evaluate_accuracy(cnn(), synthetic(), synthetic().search, result.store, 1'000'000));
  EXPECT_DOUBLE_EQ(all * 120.0, std::round(all * 120.0));
}

TEST(Train, FashionMnistIsLearnedFromAFewThousandSamples) {
  const TaskData data = load_task_data({{"name", "fashion_mnist"}});
  const graph::NetworkGraph network = test_networks::three_stages({28, 28, 1}, 10);
  const TrainOptions options{
      .epochs = 4, .batch = 32, .train_samples = 4000, .evaluate_samples = 1000, .learning_rate = 0.1};
  WeightStore store = WeightStore::for_network(network, 1);
  const auto result = train(network, data, data.search, options, 1, store);
  ASSERT_TRUE(result.has_value());
  EXPECT_GT(result->accuracy, 0.75);
}

TEST(Train, FingerprintNamesCodeAndBackend) {
  EXPECT_EQ(trainer_fingerprint().rfind("trainer ", 0), 0U);
  EXPECT_NE(trainer_fingerprint().find("eigen"), std::string::npos);
}

}  // namespace
}  // namespace cosearch
