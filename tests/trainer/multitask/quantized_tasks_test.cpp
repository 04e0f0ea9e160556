#include "trainer/multitask/quantized_tasks.hpp"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstdio>
#include <stop_token>

#include "tests/trainer/multitask/three_tasks.hpp"
#include "tests/trainer/temporary_directory.hpp"

namespace cosearch {
namespace {

using namespace test_tasks;  // NOLINT(google-build-using-namespace)

TEST(QuantizedTasks, IntegersScoreWhatTheTasksScored) {
  const graph::NetworkGraph graph = three_heads();
  const std::vector<LearningTask> tasks = three_tasks();
  MultitaskOptions options = recipe();
  options.train.epochs = 150;
  options.train.learning_rate = 0.01;
  options.train.shift = 0;
  WeightStore plain_store = make_task_weights(graph, 3);
  static_cast<void>(train_tasks(graph, tasks, options, 3, plain_store));
  // On the few images that it has seen, of which it knows something.
  const std::vector<TaskScore> plain = evaluate_tasks(graph, tasks, &TaskData::train, plain_store);
  EXPECT_GT(plain[0].value, 0.6);
  WeightStore store = make_task_weights(graph, 3);
  const auto result =
      quantize::train_quantized_tasks(graph, tasks, options, quantize::QuantizeRecipe{}, 3, store, &TaskData::train)
          .value();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const TaskScore& integers = result.result.scores[i];
    std::printf("%s: fp32 %.4f, integers %.4f\n", tasks[i].name.c_str(), plain[i].value, integers.value);
    EXPECT_EQ(integers.lower_is_better, plain[i].lower_is_better);
    EXPECT_NEAR(integers.value, plain[i].value, 0.02) << tasks[i].name;
  }
}

TEST(QuantizedTasks, HaveRangesOfTheirOwnForAnyNumberOfThreads) {
  const std::vector<LearningTask> tasks = three_tasks();
  quantize::QuantizeRecipe quantize;
  quantize.ranges.samples = 64;
  std::vector<quantize::QuantizedTasks> results;
  std::vector<WeightStore> stores;
  for (const int threads : {1, 2, 5}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
    tbb::task_arena arena(threads);
    arena.execute([&] {
      stores.push_back(make_task_weights(three_heads(), 3));
      results.push_back(
          quantize::train_quantized_tasks(three_heads(), tasks, recipe(), quantize, 3, stores.back()).value());
    });
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    expect_same_bits(stores[0], stores[i]);
    EXPECT_EQ(results[0].ranges, results[i].ranges);
    EXPECT_EQ(results[0].result.scores, results[i].result.scores);
  }
  ASSERT_EQ(results[0].ranges.size(), tasks.size());
  EXPECT_NE(results[0].ranges[0], results[0].ranges[1]) << "routers send other tokens to other experts";
  EXPECT_EQ(results[0].result.scores,
            quantize::quantized_scores(three_heads(), tasks, &TaskData::search, stores[0], results[0].ranges));
}

TEST(QuantizedTasks, WithoutARecipeAreTheTrainingAlone) {
  WeightStore plain_store = make_task_weights(three_heads(), 3);
  const MultitaskResult plain = train_tasks(three_heads(), three_tasks(), recipe(), 3, plain_store).value();
  WeightStore store = make_task_weights(three_heads(), 3);
  const auto result = quantize::train_quantized_tasks(three_heads(), three_tasks(), recipe(), std::nullopt, 3, store);
  ASSERT_TRUE(result.has_value());
  expect_same_bits(store, plain_store);
  EXPECT_EQ(result->result.scores, plain.scores);
  EXPECT_TRUE(result->ranges.empty());
}

TEST(QuantizedTasks, GoOnFromTheCheckpointsOfEitherPhase) {
  quantize::QuantizeRecipe quantize;
  quantize.ranges.samples = 32;
  const auto trained = [&](int stop_at, const std::string& checkpoint, WeightStore& store) {
    std::stop_source source;
    int calls = 0;
    return quantize::train_quantized_tasks(three_heads(), three_tasks(), recipe(), quantize, 3, store,
                                           &TaskData::search,
                                           [&](const TrainProgress&) {
                                             if (++calls == stop_at) {
                                               source.request_stop();
                                             }
                                           },
                                           source.get_token(), {checkpoint})
        .value();
  };
  WeightStore whole = make_task_weights(three_heads(), 3);
  const auto expected = trained(-1, "", whole);
  for (const int stop_at : {3, 2 * static_cast<int>(expected.result.steps) + 3}) {  // the first phase is twice as long
    const testing::TemporaryDirectory directory;
    WeightStore store = make_task_weights(three_heads(), 3);
    EXPECT_TRUE(trained(stop_at, directory.file("training"), store).result.stopped);
    store = make_task_weights(three_heads(), 3);
    EXPECT_EQ(trained(-1, directory.file("training"), store).result.scores, expected.result.scores);
    expect_same_bits(store, whole);
  }
}

}  // namespace
}  // namespace cosearch
