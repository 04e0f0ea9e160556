#include "trainer/multitask/train_tasks.hpp"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <span>

#include "spaces/base/hash.hpp"
#include "spaces/graph/moe.hpp"
#include "trainer/multitask/task_learner.hpp"
#include "trainer/multitask/task_scores.hpp"
#include "trainer/train/training_loop.hpp"

namespace cosearch {
namespace {

/// Raised with every change that alters the bits of such a training.
constexpr int kCodeVersion = 1;

/// The step of all tasks.
class TaskSteps {
 public:
  TaskSteps(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks, const MultitaskOptions& options,
            std::uint64_t seed, const Parameters& shared)
      : training_(tasks, options.train, seed, shared),
        sampling_(options.sampling),
        gradients_(shared.trainable_size()) {
    for (std::size_t task = 0; task < tasks.size(); ++task) {
      learners_.emplace_back(training_, graph, task, simulation_of(options.simulations, task));
    }
  }

  [[nodiscard]] BatchSequence& batches() { return training_.any_batches(); }

  StepResult step(std::int64_t step) {
    std::fill(gradients_.span().begin(), gradients_.span().end(), 0.0F);
    double loss = 0.0;
    for (const StepTask& each : step_tasks(training_.tasks(), sampling_, training_.seed(), step)) {
      loss += learners_[each.task].learn(step, each.weight, {}, gradients_.span());
    }
    return {loss, gradients_.span()};
  }

 private:
  TaskTraining training_;
  TaskSampling sampling_;
  AlignedFloats gradients_;  ///< at the offsets of the shared parameters
  std::deque<TaskLearner> learners_;
};

/// Everything that decides how a training goes on from a checkpoint.
std::uint64_t training_key(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks,
                           const MultitaskOptions& options, std::uint64_t seed, const Parameters& shared) {
  Hasher hasher;
  hasher.add(kCodeVersion).add(trainer_fingerprint()).add(graph::hash(graph)).add(hash(tasks));
  hasher.add(to_json(options.train).dump()).add(static_cast<int>(options.sampling)).add(seed);
  hasher.add_bytes(std::as_bytes(std::span<const float>(shared.values())));
  for (const Simulation& simulation : options.simulations) {
    add_to(hasher, simulation);
  }
  return hasher.value();
}

}  // namespace

WeightStore make_task_weights(const graph::NetworkGraph& graph, std::uint64_t seed) {
  return WeightStore::for_corners(graph::task_networks(graph), seed);
}

Expected<MultitaskResult, Infeasible> train_tasks(const graph::NetworkGraph& graph,
                                                  const std::vector<LearningTask>& tasks,
                                                  const MultitaskOptions& options, std::uint64_t seed,
                                                  WeightStore& store, Dataset TaskData::*split,
                                                  const ProgressSink& progress, const std::stop_token& stop,
                                                  const Checkpoint& checkpoint) {
  check_tasks(graph, tasks);
  Parameters shared(store, options.train.precision);
  TaskSteps steps(graph, tasks, options, seed, shared);
  const std::uint64_t key = training_key(graph, tasks, options, seed, shared);
  const auto trained = run({.options = options.train,
                            .batches = steps.batches(),
                            .parameters = shared,
                            .step = [&](std::int64_t step) { return steps.step(step); },
                            .checkpoint = checkpoint.path,
                            .key = key},
                           progress, stop);
  if (!trained) {
    return Unexpected{trained.error()};
  }
  MultitaskResult result{{}, trained->train_loss, trained->steps, trained->stopped};
  if (!result.stopped) {
    shared.save(store);
    result.scores =
        task_scores(graph, tasks, split, options.train.evaluate_samples, slices_of(shared), options.simulations);
  }
  return result;
}

std::vector<TaskScore> evaluate_tasks(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks,
                                      Dataset TaskData::*split, const WeightStore& store, std::int64_t samples,
                                      Precision precision) {
  check_tasks(graph, tasks);
  const Parameters shared(store, precision);
  return task_scores(graph, tasks, split, samples, slices_of(shared));
}

graph::Histograms task_routing(const graph::NetworkGraph& graph, const TaskData& images, const Dataset& split,
                               const WeightStore& store, Precision precision) {
  const Parameters shared(store, precision);
  return task_routing(graph, images, split, slices_of(shared));
}

}  // namespace cosearch
