#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/multitask/learning_task.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/net/training_memory.hpp"
#include "trainer/supernet/subnet.hpp"
#include "trainer/train/batch_sequence.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {

/// One training of weights that networks of several tasks share: what its learners have in common. All references
/// outlive it.
class TaskTraining {
 public:
  TaskTraining(const std::vector<LearningTask>& tasks, const TrainOptions& options, std::uint64_t seed,
               const Parameters& shared)
      : tasks_(tasks), options_(options), seed_(seed), shared_(shared) {}

  [[nodiscard]] const std::vector<LearningTask>& tasks() const noexcept { return tasks_; }
  [[nodiscard]] const TrainOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  [[nodiscard]] const Parameters& shared() const noexcept { return shared_; }
  [[nodiscard]] const std::shared_ptr<TrainingMemory>& memory() const noexcept { return memory_; }

  /// A task's batches in the order of pixels that a network gives; they stay where they are.
  [[nodiscard]] BatchSequence& batches(std::size_t task, std::int64_t label_patch);
  /// Some task's: tasks with the same images have equally many batches. There must be a learner.
  [[nodiscard]] BatchSequence& any_batches();

 private:
  const std::vector<LearningTask>& tasks_;
  const TrainOptions& options_;
  std::uint64_t seed_;
  const Parameters& shared_;
  std::shared_ptr<TrainingMemory> memory_ = std::make_shared<TrainingMemory>();
  std::map<std::pair<std::size_t, std::int64_t>, BatchSequence> batches_;  ///< of task and label patch
};

/// A network's part for one task, ready to take steps. Of the learners of one training one runs at a time.
class TaskLearner {
 public:
  /// `graph` has the outputs of all tasks; `training` outlives the learner.
  TaskLearner(TaskTraining& training, const graph::NetworkGraph& graph, std::size_t task,
              const Simulation& simulation = {});

  /// Adds to `gradients`, at the offsets of the shared parameters, those of `weight` times the task's loss of this
  /// step's batch; returns `weight` times the loss. `distillation` says what is taken from, or given to, other networks
  /// (teacher, teacher_weight, predictions); all else about the targets is the task's own.
  double learn(std::int64_t step, double weight, const Targets& distillation, std::span<float> gradients);

  /// Of the network, for a batch.
  [[nodiscard]] std::size_t outputs() const noexcept { return outputs_; }
  /// In which order the network gives the labels of pixels.
  [[nodiscard]] std::int64_t label_patch() const noexcept { return label_patch_; }

 private:
  const TaskTraining& training_;
  const LearningTask& task_;
  Subnet subnet_;
  std::int64_t label_patch_;
  BatchSequence& batches_;
  std::size_t outputs_;
  TrainingExecutor executor_;
  InputSource input_;
};

}  // namespace cosearch
