#include "trainer/multitask/quantized_tasks.hpp"

#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch::quantize {
namespace {

Expected<QuantizedTasks, Infeasible> quantize_trained_tasks(
    const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks, MultitaskOptions options,
    const QuantizeRecipe& recipe, std::uint64_t seed, WeightStore& store, MultitaskResult trained,
    Dataset TaskData::*split, const ProgressSink& progress, const std::stop_token& stop, const Checkpoint& checkpoint) {
  QuantizedTasks quantized{std::move(trained), {}};
  for (const LearningTask& task : tasks) {
    const graph::NetworkGraph network = graph::task_network(graph, task.output);
    quantized.ranges.push_back(observe_ranges(network, store, *task.data, recipe.ranges));
    options.simulations.push_back(simulate(network, quantized.ranges.back()));
  }
  const std::int64_t samples = options.train.evaluate_samples;
  if (recipe.fine_tune_epochs > 0.0) {
    options.train = fine_tuning(options.train, recipe);
    Expected<MultitaskResult, Infeasible> tuned =
        train_tasks(graph, tasks, options, seed, store, split, progress, stop, fine_tune_checkpoint(checkpoint));
    if (!tuned) {
      return Unexpected{tuned.error()};
    }
    quantized.result = *std::move(tuned);
    if (quantized.result.stopped) {
      return quantized;
    }
  }
  quantized.result.scores = quantized_scores(graph, tasks, split, store, quantized.ranges, samples);
  return quantized;
}

}  // namespace

Expected<QuantizedTasks, Infeasible> train_quantized_tasks(
    const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks, const MultitaskOptions& options,
    const std::optional<QuantizeRecipe>& recipe, std::uint64_t seed, WeightStore& store, Dataset TaskData::*split,
    const ProgressSink& progress, const std::stop_token& stop, const Checkpoint& checkpoint) {
  Expected<MultitaskResult, Infeasible> trained =
      train_tasks(graph, tasks, options, seed, store, split, progress, stop, checkpoint);
  if (!trained) {
    return Unexpected{trained.error()};
  }
  if (trained->stopped || !recipe) {
    return QuantizedTasks{*std::move(trained), {}};
  }
  return quantize_trained_tasks(graph, tasks, options, *recipe, seed, store, *std::move(trained), split, progress, stop,
                                checkpoint);
}

std::vector<TaskScore> quantized_scores(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks,
                                        Dataset TaskData::*split, const WeightStore& store,
                                        const std::vector<std::vector<ValueRange>>& ranges, std::int64_t samples) {
  COSEARCH_CHECK(ranges.size() == tasks.size(), "each task has ranges of its own");
  std::vector<TaskScore> scores;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Dataset& evaluated = (*tasks[i].data).*split;
    const QuantizedNetwork network = quantize(graph::task_network(graph, tasks[i].output), store, ranges[i]);
    scores.push_back({quantized_accuracy(network, *tasks[i].data, evaluated, samples), evaluated.regression});
  }
  return scores;
}

}  // namespace cosearch::quantize
