#include "trainer/multitask/train_tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <utility>

#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/rng.hpp"
#include "spaces/graph/moe.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/moe/routing.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/supernet/subnet.hpp"
#include "trainer/train/accuracy.hpp"
#include "trainer/train/batch_sequence.hpp"
#include "trainer/train/training_loop.hpp"

namespace cosearch {
namespace {

/// Raised with every change that alters the bits of such a training.
constexpr int kCodeVersion = 1;

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

bool has_mixture(const graph::NetworkGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const graph::Node& node) { return std::holds_alternative<graph::MoeFfn>(node.op); });
}

Simulation simulation_of(const std::vector<Simulation>& simulations, std::size_t task) {
  return simulations.empty() ? Simulation{} : simulations.at(task);
}

/// A task and its network, ready to take steps.
struct Learner {
  Learner(const graph::NetworkGraph& graph, const LearningTask& about, const MultitaskOptions& options,
          const Simulation& simulation, std::uint64_t seed, const Parameters& shared,
          const std::shared_ptr<TrainingMemory>& memory)
      : task(about),
        subnet(graph::task_network(graph, about.output), shared),
        batches(*about.data, options.train, seed, label_patch(subnet.graph(), about.data->train)),
        executor(subnet.graph(), subnet.parameters(), batches.batch(), memory, simulation),
        input(batches.input(input_shape(subnet.graph()))) {}

  const LearningTask& task;
  Subnet subnet;
  BatchSequence batches;
  TrainingExecutor executor;
  InputSource input;
};

/// The step of all tasks.
class TaskSteps {
 public:
  TaskSteps(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks, const MultitaskOptions& options,
            std::uint64_t seed, const Parameters& shared)
      : options_(options), seed_(seed), gradients_(shared.trainable_size()) {
    const auto memory = std::make_shared<TrainingMemory>();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      learners_.emplace_back(graph, tasks[i], options, simulation_of(options.simulations, i), seed, shared, memory);
      weights_ += tasks[i].weight;
    }
  }

  /// All tasks have the same images, and so equally many batches.
  [[nodiscard]] BatchSequence& batches() noexcept { return learners_.front().batches; }

  StepResult step(std::int64_t step) {
    std::fill(gradients_.span().begin(), gradients_.span().end(), 0.0F);
    double loss = 0.0;
    if (options_.sampling == TaskSampling::one) {
      loss = learn(drawn(step), weights_, step);
    } else {
      for (Learner& learner : learners_) {
        loss += learn(learner, learner.task.weight, step);
      }
    }
    return {loss, gradients_.span()};
  }

 private:
  Learner& drawn(std::int64_t step) {
    double left = weights_ * RngStream(seed_, Purpose::task, static_cast<std::uint64_t>(step)).uniform();
    for (Learner& learner : learners_) {
      left -= learner.task.weight;
      if (left < 0.0) {
        return learner;
      }
    }
    return learners_.back();  // the sum was rounded
  }

  /// Adds the gradients of `weight` times the task's loss, which is returned.
  double learn(Learner& learner, double weight, std::int64_t step) {
    learner.batches.select(step);
    learner.subnet.gather();
    const double loss = learner.executor.step(learner.input, {.labels = learner.batches.labels(),
                                                              .label_smoothing = options_.train.label_smoothing,
                                                              .class_weights = learner.task.class_weights,
                                                              .values = learner.batches.values(),
                                                              .regression = learner.task.regression,
                                                              .loss_scale = options_.train.loss_scale * weight,
                                                              .noise_seed = noise_seed(seed_, step)});
    learner.subnet.scatter_add(learner.executor.gradients(), gradients_.span());
    return weight * loss;
  }

  const MultitaskOptions& options_;
  std::uint64_t seed_;
  AlignedFloats gradients_;  ///< at the offsets of the shared parameters
  std::deque<Learner> learners_;
  double weights_ = 0.0;
};

std::vector<TaskScore> scores_of(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks,
                                 Dataset TaskData::*split, const Parameters& shared, std::int64_t samples,
                                 const std::vector<Simulation>& simulations) {
  std::vector<TaskScore> scores;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const LearningTask& task = tasks[i];
    Subnet subnet(graph::task_network(graph, task.output), shared);
    subnet.gather();
    const Dataset& evaluated = (*task.data).*split;
    scores.push_back(
        {accuracy(subnet.graph(), *task.data, evaluated, subnet.parameters(), samples, simulation_of(simulations, i)),
         evaluated.regression});
  }
  return scores;
}

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

void check_tasks(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks) {
  check_images(tasks);
  if (has_batch_norm(graph)) {
    throw ConfigError("", fmt::format("network {} has batch norms, whose statistics tasks cannot share; several tasks "
                                      "need layer norms",
                                      graph.name));
  }
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
    result.scores = scores_of(graph, tasks, split, shared, options.train.evaluate_samples, options.simulations);
  }
  return result;
}

std::vector<TaskScore> evaluate_tasks(const graph::NetworkGraph& graph, const std::vector<LearningTask>& tasks,
                                      Dataset TaskData::*split, const WeightStore& store, std::int64_t samples,
                                      Precision precision) {
  check_tasks(graph, tasks);
  return scores_of(graph, tasks, split, Parameters(store, precision), samples, {});
}

graph::Histograms task_routing(const graph::NetworkGraph& graph, const TaskData& images, const Dataset& split,
                               const WeightStore& store, Precision precision) {
  graph::Histograms all;
  if (!has_mixture(graph)) {
    return all;
  }
  const Parameters shared(store, precision);
  for (int task = 0; task < static_cast<int>(graph.outputs.size()); ++task) {
    Subnet subnet(graph::task_network(graph, task), shared);
    subnet.gather();
    const BatchSpec spec = plain_batches(input_shape(subnet.graph()), images);
    const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
      std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
      std::iota(samples.begin(), samples.end(), first);
      fill_batch(split, spec, samples, out);
    };
    all.merge(moe::routing_histograms(subnet.graph(), subnet.parameters(), input, split.size()));
  }
  return all;
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
