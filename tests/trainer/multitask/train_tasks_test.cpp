#include "trainer/multitask/train_tasks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "spaces/base/config_error.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/graph/moe.hpp"
#include "tests/trainer/multitask/three_tasks.hpp"
#include "tests/trainer/temporary_directory.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/moe/routing.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch {
namespace {

using namespace test_tasks;  // NOLINT(google-build-using-namespace)
using nlohmann::json;

struct Trained {
  MultitaskResult result;
  WeightStore store;
};

Trained run(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks, const MultitaskOptions& options,
            const ProgressSink& progress = {}, const std::stop_token& stop = {}, const Checkpoint& checkpoint = {}) {
  Trained trained{{}, make_task_weights(graph, 3)};
  auto result = train_tasks(graph, tasks, options, 3, trained.store, &TaskData::search, progress, stop, checkpoint);
  EXPECT_TRUE(result.has_value());
  trained.result = std::move(result).value();
  return trained;
}

TEST(TrainTasks, BitsDoNotDependOnTheNumberOfThreads) {
  for (const TaskSampling sampling : {TaskSampling::all, TaskSampling::one}) {
    MultitaskOptions options = recipe();
    options.sampling = sampling;
    std::vector<Trained> runs;
    for (const int threads : {1, 2, 5}) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
      tbb::task_arena arena(threads);
      arena.execute([&] { runs.push_back(run(three_heads(), three_tasks(), options)); });
    }
    for (const Trained& other : runs) {
      expect_same_bits(runs.front().store, other.store);
      EXPECT_EQ(runs.front().result.scores, other.result.scores);
      EXPECT_EQ(runs.front().result.train_loss, other.result.train_loss);
    }
  }
}

TEST(TrainTasks, OneTaskIsAnOrdinaryTraining) {
  const TaskData& data = *three_tasks()[0].data;
  const graph::NetworkGraph network = test_networks::vit({kSize, kSize, 1}, 4);
  WeightStore alone = WeightStore::for_network(network, 3);
  const auto expected = train(network, data, data.search, recipe().train, 3, alone);
  ASSERT_TRUE(expected.has_value());
  const Trained listed = run(network, {three_tasks()[0]}, recipe());
  expect_same_bits(alone, listed.store);
  ASSERT_EQ(listed.result.scores.size(), 1U);
  EXPECT_EQ(listed.result.scores[0], (TaskScore{expected->accuracy, false}));
}

TEST(TrainTasks, AStepFollowsTheWeightedSumOfTheTasksGradients) {
  MultitaskOptions options;
  options.train = {.epochs = 1,
                   .batch = kTrain,
                   .optimizer = OptimizerKind::sgd,
                   .learning_rate = 0.5,
                   .momentum = 0.0,
                   .weight_decay = 0.0,
                   .warmup = 0.0};
  // Without the balance of experts, whose sets of tokens depend on the batch's order.
  const WeightStore before = make_task_weights(three_heads(0.0), 3);
  const Trained after = run(three_heads(0.0), three_tasks(), options);
  std::map<std::string, std::vector<double>> expected;
  for (const LearningTask& task : three_tasks()) {
    for (const auto& [name, gradient] : test_tasks::task_step(task, three_heads(0.0), 4, before).gradients) {
      std::vector<double>& sum = expected.try_emplace(name, gradient.size(), 0.0).first->second;
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += task.weight * static_cast<double>(gradient[i]);
      }
    }
  }
  EXPECT_EQ(expected.size(), before.weights().size());
  for (const auto& [name, sum] : expected) {
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const double moved =
          static_cast<double>(before.at(name).values[i]) - static_cast<double>(after.store.at(name).values[i]);
      // The batch's order differs, and with it the order of sums.
      ASSERT_NEAR(moved, 0.5 * sum[i], 2e-5 + 1e-4 * std::abs(sum[i])) << name << "[" << i << "]";
    }
  }
}

TEST(TrainTasks, OneTaskAStepIsDrawnByItsWeight) {
  std::vector<LearningTask> tasks = three_tasks();
  tasks[1].weight = 0.0;
  MultitaskOptions options = recipe();
  options.sampling = TaskSampling::one;
  options.train.weight_decay = 0.0;
  const WeightStore before = make_task_weights(three_heads(), 3);
  const Trained after = run(three_heads(), tasks, options);
  EXPECT_EQ(after.store.at("heads.edges.weight").values, before.at("heads.edges.weight").values);
  EXPECT_EQ(after.store.at("blocks.1.moe.router_1").values, before.at("blocks.1.moe.router_1").values);
  EXPECT_NE(after.store.at("heads.depth.weight").values, before.at("heads.depth.weight").values);
  EXPECT_NE(after.store.at("blocks.1.moe.router_2").values, before.at("blocks.1.moe.router_2").values);
}

TEST(TrainTasks, GoOnFromACheckpointToTheSameBits) {
  const testing::TemporaryDirectory directory;
  const Checkpoint checkpoint{directory.file("tasks")};
  std::stop_source source;
  const auto stop_at_5 = [&](const TrainProgress& progress) {
    if (progress.step == 5) {
      source.request_stop();
    }
  };
  const Trained stopped = run(three_heads(), three_tasks(), recipe(), stop_at_5, source.get_token(), checkpoint);
  EXPECT_TRUE(stopped.result.stopped);
  EXPECT_TRUE(stopped.result.scores.empty());
  std::int64_t steps = 0;
  const Trained resumed = run(
      three_heads(), three_tasks(), recipe(), [&](const TrainProgress&) { ++steps; }, {}, checkpoint);
  const Trained whole = run(three_heads(), three_tasks(), recipe());
  EXPECT_EQ(steps, 3);
  expect_same_bits(whole.store, resumed.store);
  EXPECT_EQ(whole.result.scores, resumed.result.scores);
}

TEST(TrainTasks, LearnAllTasksAtOnce) {
  MultitaskOptions options = recipe();
  options.train.epochs = 150;
  options.train.learning_rate = 0.01;
  options.train.shift = 0;
  const Trained trained = run(three_heads(), three_tasks(), options);
  const auto untrained =
      evaluate_tasks(three_heads(), three_tasks(), &TaskData::search, make_task_weights(three_heads(), 3));
  const std::vector<TaskScore>& scores = trained.result.scores;
  // Of four kinds, on the few images that it has seen.
  EXPECT_GT(evaluate_tasks(three_heads(), three_tasks(), &TaskData::train, trained.store)[0].value, 0.6);
  EXPECT_GT(scores[1].value, untrained[1].value + 0.1);
  EXPECT_TRUE(scores[2].lower_is_better);
  // Better than the best constant, whose error is the deviation of all distances.
  const std::vector<float>& depth = three_tasks()[2].data->search.values;
  double sum = 0.0;
  double squares = 0.0;
  for (const float value : depth) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  const auto count = static_cast<double>(depth.size());
  EXPECT_LT(scores[2].value, 0.8 * std::sqrt(squares / count - sum / count * (sum / count)));
}

TEST(TrainTasks, RefuseTasksThatDoNotBelongTogether) {
  const auto message = [](const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks) -> std::string {
    try {
      check_tasks(graph, tasks);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return {};
  };
  using ::testing::HasSubstr;
  const graph::NetworkGraph graph = three_heads();
  std::vector<LearningTask> tasks = three_tasks();
  EXPECT_EQ(message(graph, tasks), "");
  EXPECT_THAT(message(graph, {}), HasSubstr("empty"));
  tasks[1].data = shapes("edges", {{"seed", 1}});
  EXPECT_THAT(message(graph, tasks), HasSubstr("task \"edges\" has other images than task \"kind\""));
  tasks = three_tasks();
  tasks[2].data = nullptr;
  EXPECT_THAT(message(graph, tasks), HasSubstr("task \"depth\" has no training samples"));
  tasks = three_tasks();
  tasks[2].output = 3;
  EXPECT_THAT(message(graph, tasks), HasSubstr("is output 3 of a network with 3"));
  tasks[2].output = 1;
  EXPECT_THAT(message(graph, tasks), HasSubstr("the data set has 1 classes"));
  tasks = three_tasks();
  tasks[1].class_weights.pop_back();
  EXPECT_THAT(message(graph, tasks), HasSubstr("1 class weights for 2 classes"));
  EXPECT_THAT(message(test_networks::cnn({kSize, kSize, 1}, 4), {three_tasks()[0]}), HasSubstr("batch norms"));
}

TEST(TrainTasks, NumbersAreNotLearnedByTrain) {
  const TaskData& depth = *three_tasks()[2].data;
  const graph::NetworkGraph network = graph::task_network(three_heads(), 2);
  WeightStore store = WeightStore::for_network(network, 1);
  EXPECT_THROW(static_cast<void>(train(network, depth, depth.search, recipe().train, 1, store)), ConfigError);
}

TEST(TaskRouting, IsThatOfTheNetworkOfEachTask) {
  const graph::NetworkGraph graph = three_heads();
  const WeightStore weights = make_task_weights(graph, 3);
  const TaskData& images = *three_tasks().front().data;
  const graph::Histograms routing = task_routing(graph, images, images.search, weights);
  ASSERT_EQ(routing.size(), 3U);
  std::set<std::vector<double>> different;
  for (int task = 0; task < 3; ++task) {
    const graph::NetworkGraph network = graph::task_network(graph, task);
    EXPECT_EQ(graph::wrong_histogram(network, routing), std::nullopt);
    std::string node;
    for (const graph::Node& each : network.nodes) {
      node = std::holds_alternative<graph::MoeFfn>(each.op) ? each.name : node;
    }
    const std::vector<double>& counts = routing.at(graph::tokens_key(node, task));
    EXPECT_DOUBLE_EQ(std::accumulate(counts.begin(), counts.end(), 0.0), 2.0 * (kSize / 4) * (kSize / 4));
    Parameters parameters(network);
    parameters.load(weights);
    const BatchSpec spec = plain_batches(input_shape(network), images);
    const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
      std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
      std::iota(samples.begin(), samples.end(), first);
      fill_batch(images.search, spec, samples, out);
    };
    EXPECT_EQ(
        moe::routing_histograms(network, parameters, input, images.search.size()).at(graph::tokens_key(node, task)),
        counts);
    different.insert(counts);
  }
  EXPECT_EQ(different.size(), 3U);
}

TEST(TaskRouting, OfANetworkWithoutMixturesIsEmpty) {
  const TaskData& images = *three_tasks().front().data;
  catalog::VisionTransformer net;
  net.input = {kSize, kSize, 1};
  net.patch = 4;
  net.embed_dim = 16;
  net.head_dim = 8;
  net.blocks = {{.heads = 2}};
  net.tasks = {{"kind", 4, false}};
  const graph::NetworkGraph graph = catalog::build("one_head", net);
  EXPECT_TRUE(task_routing(graph, images, images.search, make_task_weights(graph, 3)).empty());
}

}  // namespace
}  // namespace cosearch
