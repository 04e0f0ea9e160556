#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "spaces/base/rng.hpp"
#include "spaces/graph/graph.hpp"
#include "trainer/multitask/task_learner.hpp"
#include "trainer/net/aligned_floats.hpp"
#include "trainer/store/weight_store.hpp"
#include "trainer/supernet/subnet_space.hpp"
#include "trainer/supernet/supernet.hpp"
#include "trainer/train/training_loop.hpp"

namespace cosearch {

/// The step of a supernet's training, see train_supernet. All references outlive it.
class Sandwich {
 public:
  Sandwich(const SubnetSpace& space, const std::vector<LearningTask>& tasks, const SupernetOptions& options,
           std::uint64_t seed, const WeightStore& store, const Parameters& shared);

  [[nodiscard]] BatchSequence& batches() { return training_.any_batches(); }
  StepResult step(std::int64_t step);

 private:
  /// A network that takes steps: a learner of each task, made when it is first wanted.
  struct Member {
    graph::NetworkGraph network;
    std::vector<std::unique_ptr<TaskLearner>> learners;
  };
  /// What the step's largest network predicts in one task.
  struct Predictions {
    std::vector<float> values;     ///< (labels of the batch, classes)
    std::int64_t label_patch = 1;  ///< in which order
  };

  [[nodiscard]] Member member(const graph::NetworkGraph& network) const;
  /// A drawn network of the family; nothing where the space gives none.
  [[nodiscard]] std::optional<graph::NetworkGraph> sampled(std::size_t family, RngStream& rng) const;
  TaskLearner& learner(Member& member, std::size_t task);
  /// Adds the gradients of one network; returns its loss.
  double learn(Member& member, std::int64_t step, bool largest);
  /// A task's predictions in the order of another network.
  [[nodiscard]] std::span<const float> in_order(std::size_t task, std::int64_t label_patch);
  void scale(float factor);

  const SubnetSpace& space_;
  const SupernetOptions& options_;
  const WeightStore& store_;
  TaskTraining training_;
  std::vector<SubnetFamily> families_;
  std::vector<std::array<Member, 2>> corners_;  ///< largest and smallest of each family
  AlignedFloats gradients_;                     ///< at the offsets of the shared parameters
  std::vector<Predictions> teacher_;            ///< of each task
  std::vector<float> reordered_;
};

}  // namespace cosearch
