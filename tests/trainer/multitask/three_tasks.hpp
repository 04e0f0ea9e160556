#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "spaces/graph/graph.hpp"
#include "trainer/multitask/learning_task.hpp"
#include "trainer/multitask/train_tasks.hpp"
#include "trainer/store/weight_store.hpp"

/// Three tasks on the same rendered shapes, and what one of them asks of a network.
namespace cosearch::test_tasks {

constexpr std::int64_t kSize = 16;
constexpr std::int64_t kTrain = 96;

[[nodiscard]] std::shared_ptr<const TaskData> shapes(const std::string& task,
                                                     const nlohmann::json& more = nlohmann::json::object());
/// The kind, edges with class weights, and depth of the same images.
[[nodiscard]] std::vector<LearningTask> three_tasks();
/// One trunk, three heads; every second block has experts.
[[nodiscard]] graph::NetworkGraph three_heads(double balance = 0.01, std::int64_t patch = 4);

/// What a task's loss over all training samples, in their order, makes of the weights in a store.
struct TaskStep {
  std::map<std::string, std::vector<float>> gradients;
  std::vector<float> predictions;
};
/// Of a network of all tasks, whose pixels come in patches of this size; with a share of a teacher in that order.
[[nodiscard]] TaskStep task_step(const LearningTask& task, const graph::NetworkGraph& graph, std::int64_t patch,
                                 const WeightStore& store, const std::vector<float>& teacher = {},
                                 double teacher_weight = 0.0);

/// Two short epochs.
[[nodiscard]] MultitaskOptions recipe();
/// Of all weights.
void expect_same_bits(const WeightStore& a, const WeightStore& b);

}  // namespace cosearch::test_tasks
