#include "trainer/multitask/task_learner.hpp"

#include "spaces/base/check.hpp"
#include "spaces/graph/moe.hpp"
#include "trainer/train/accuracy.hpp"

namespace cosearch {

BatchSequence& TaskTraining::batches(std::size_t task, std::int64_t label_patch) {
  return batches_.try_emplace({task, label_patch}, *tasks_[task].data, options_, seed_, label_patch).first->second;
}

BatchSequence& TaskTraining::any_batches() {
  COSEARCH_CHECK(!batches_.empty(), "a training has a learner");
  return batches_.begin()->second;
}

TaskLearner::TaskLearner(TaskTraining& training, const graph::NetworkGraph& graph, std::size_t task,
                         const Simulation& simulation)
    : training_(training),
      task_(training.tasks()[task]),
      subnet_(graph::task_network(graph, task_.output), training.shared()),
      label_patch_(cosearch::label_patch(subnet_.graph(), task_.data->train)),
      batches_(training.batches(task, label_patch_)),
      outputs_(static_cast<std::size_t>(batches_.batch() * task_.data->train.labels_per_sample() *
                                        task_.data->train.classes)),
      executor_(subnet_.graph(), subnet_.parameters(), batches_.batch(), training.memory(), simulation),
      input_(batches_.input(input_shape(subnet_.graph()))) {}

double TaskLearner::learn(std::int64_t step, double weight, const Targets& distillation, std::span<float> gradients) {
  batches_.select(step);
  subnet_.gather();
  Targets targets = distillation;
  targets.labels = batches_.labels();
  targets.label_smoothing = training_.options().label_smoothing;
  targets.class_weights = task_.class_weights;
  targets.values = batches_.values();
  targets.regression = task_.regression;
  targets.loss_scale = training_.options().loss_scale * weight;
  targets.noise_seed = noise_seed(training_.seed(), step);
  const double loss = executor_.step(input_, targets);
  subnet_.scatter_add(executor_.gradients(), gradients);
  return weight * loss;
}

}  // namespace cosearch
