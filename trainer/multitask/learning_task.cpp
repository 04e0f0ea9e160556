#include "trainer/multitask/learning_task.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/rng.hpp"
#include "spaces/graph/moe.hpp"
#include "trainer/train/accuracy.hpp"

namespace cosearch {
namespace {

[[noreturn]] void refuse(const LearningTask& task, const std::string& why) {
  throw ConfigError("", fmt::format("task \"{}\" {}", task.name, why));
}

void check_same_images(const LearningTask& first, const LearningTask& task) {
  for (const auto split : {&TaskData::train, &TaskData::search, &TaskData::test}) {
    const Dataset& a = (*first.data).*split;
    const Dataset& b = (*task.data).*split;
    if (a.sample != b.sample || a.pixels != b.pixels) {
      refuse(task, fmt::format("has other images than task \"{}\": {} of ({}) and {} of ({}); tasks of one network "
                               "share their images",
                               first.name, b.size(), fmt::join(b.sample, ", "), a.size(), fmt::join(a.sample, ", ")));
    }
  }
}

bool has_batch_norm(const graph::NetworkGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const graph::Node& node) { return std::holds_alternative<graph::BatchNorm>(node.op); });
}

/// One, drawn in proportion to the weights.
std::size_t drawn(const std::vector<LearningTask>& tasks, double weights, RngStream rng) {
  double left = weights * rng.uniform();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    left -= tasks[i].weight;
    if (left < 0.0) {
      return i;
    }
  }
  return tasks.size() - 1;  // the sum was rounded
}

}  // namespace

std::vector<StepTask> step_tasks(const std::vector<LearningTask>& tasks, TaskSampling sampling, std::uint64_t seed,
                                 std::int64_t step) {
  std::vector<StepTask> chosen;
  double weights = 0.0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    chosen.push_back({i, tasks[i].weight});
    weights += tasks[i].weight;
  }
  if (sampling == TaskSampling::one) {
    chosen = {{drawn(tasks, weights, RngStream(seed, Purpose::task, static_cast<std::uint64_t>(step))), weights}};
  }
  return chosen;
}

void check_images(const std::vector<LearningTask>& tasks) {
  if (tasks.empty()) {
    throw ConfigError("", "the list of tasks is empty; a network learns at least one");
  }
  for (const LearningTask& task : tasks) {
    if (task.data == nullptr || task.data->train.size() == 0) {
      refuse(task, "has no training samples");
    }
    check_same_images(tasks.front(), task);
  }
}

void check_outputs(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks) {
  for (const LearningTask& task : tasks) {
    if (task.output < 0 || task.output >= static_cast<int>(graph.outputs.size())) {
      refuse(task, fmt::format("is output {} of a network with {}", task.output, graph.outputs.size()));
    }
    const auto weights = static_cast<std::int64_t>(task.class_weights.size());
    if (weights > 0 && (task.data->train.regression || weights != task.data->train.classes)) {
      refuse(task, fmt::format("has {} class weights for {} classes", weights, task.data->train.classes));
    }
    const graph::NetworkGraph network = graph::task_network(graph, task.output);
    for (const auto split : {&TaskData::search, &TaskData::test}) {
      check_fit(network, *task.data, (*task.data).*split);
    }
  }
}

void check_tasks(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks) {
  check_images(tasks);
  if (has_batch_norm(graph)) {
    throw ConfigError("", fmt::format("network {} has batch norms, whose statistics tasks cannot share; several tasks "
                                      "need layer norms",
                                      graph.name));
  }
  check_outputs(graph, tasks);
}

std::uint64_t hash(const std::vector<LearningTask>& tasks) {
  Hasher hasher;
  for (const LearningTask& task : tasks) {
    hasher.add(task.data->content_hash).add(task.output).add(task.weight).add(static_cast<int>(task.regression));
    hasher.add_bytes(std::as_bytes(std::span(task.class_weights)));
  }
  return hasher.value();
}

}  // namespace cosearch
