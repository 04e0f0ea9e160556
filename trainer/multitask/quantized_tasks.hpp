#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "trainer/multitask/train_tasks.hpp"
#include "trainer/quantize/quantized_training.hpp"

/// Networks of several tasks as integers: what runs for a task (`graph::task_network`) has ranges and integers of its
/// own, of the weights that all tasks share.
namespace cosearch::quantize {

struct QuantizedTasks {
  MultitaskResult result;                       ///< of the fine-tuning; the scores are those of the integers
  std::vector<std::vector<ValueRange>> ranges;  ///< of each task, see observe_ranges; empty: not quantised
};

/// train_tasks() and, with a recipe, behind it what quantize_trained does: ranges of every task's values, the tasks
/// trained under their simulations, the scores of their integers. Nothing but the training without a recipe. Arguments,
/// results, errors and threads as for train_tasks(); the second checkpoint is `fine_tune_checkpoint`.
[[nodiscard]] Expected<QuantizedTasks, Infeasible> train_quantized_tasks(
    const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks, const MultitaskOptions& options,
    const std::optional<QuantizeRecipe>& recipe, std::uint64_t seed, WeightStore& store,
    Dataset TaskData::*split = &TaskData::search, const ProgressSink& progress = {}, const std::stop_token& stop = {},
    const Checkpoint& checkpoint = {});

/// The scores of the tasks' integers on a split (first `samples`, 0 = all), by the interpreter.
[[nodiscard]] std::vector<TaskScore> quantized_scores(const graph::NetworkGraph& graph,
                                                      const std::vector<LearningTask>& tasks, Dataset TaskData::*split,
                                                      const WeightStore& store,
                                                      const std::vector<std::vector<ValueRange>>& ranges,
                                                      std::int64_t samples = 0);

}  // namespace cosearch::quantize
