#include "trainer/train/train.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>

#include "spaces/base/hash.hpp"
#include "trainer/kernels/dense.hpp"
#include "trainer/kernels/softmax/softmax_row.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/net/parameters.hpp"
#include "trainer/train/accuracy.hpp"
#include "trainer/train/batch_sequence.hpp"
#include "trainer/train/training_loop.hpp"

namespace cosearch {
namespace {

/// Raised with every change that alters the bits of a training.
constexpr int kCodeVersion = 1;

/// Everything that decides how a training goes on from a checkpoint.
std::uint64_t training_key(const graph::NetworkGraph& graph, const TaskData& data, const TrainOptions& options,
                           std::uint64_t seed, const Parameters& parameters, const Simulation& simulation) {
  Hasher hasher;
  add_to(hasher, simulation);
  return hasher.add(graph::hash(graph))
      .add(data.content_hash)
      .add(to_json(options).dump())
      .add(seed)
      .add(trainer_fingerprint())
      .add_bytes(std::as_bytes(parameters.values()))
      .value();
}

}  // namespace

Expected<TrainResult, Infeasible> train(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& evaluate,
                                        const TrainOptions& options, std::uint64_t seed, WeightStore& store,
                                        const ProgressSink& progress, const std::stop_token& stop,
                                        const Checkpoint& checkpoint, const Simulation& simulation) {
  check_fit(graph, data, evaluate);
  check_classes(data);
  Parameters parameters(graph, options.precision);
  parameters.load(store);
  const std::uint64_t key =
      checkpoint.path.empty() ? 0 : training_key(graph, data, options, seed, parameters, simulation);
  BatchSequence batches(data, options, seed, label_patch(graph, data.train));
  TrainingExecutor executor(graph, parameters, batches.batch(), std::make_shared<TrainingMemory>(), simulation);
  const InputSource input = batches.input(input_shape(graph));
  const auto step = [&](std::int64_t number) {
    const double loss = executor.step(input, {.labels = batches.labels(),
                                              .label_smoothing = options.label_smoothing,
                                              .loss_scale = options.loss_scale,
                                              .noise_seed = noise_seed(seed, number)});
    return StepResult{loss, executor.gradients()};
  };
  auto result = run({.options = options,
                     .batches = batches,
                     .parameters = parameters,
                     .step = step,
                     .checkpoint = checkpoint.path,
                     .key = key},
                    progress, stop);
  if (result && !result->stopped) {
    parameters.save(store);
    result->accuracy = accuracy(graph, data, evaluate, parameters, options.evaluate_samples, simulation);
  }
  return result;
}

double evaluate_accuracy(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                         const WeightStore& store, std::int64_t samples, Precision precision,
                         const Simulation& simulation) {
  check_fit(graph, data, split);
  Parameters parameters(graph, precision);
  parameters.load(store);
  return accuracy(graph, data, split, parameters, samples, simulation);
}

std::string trainer_fingerprint() {
  return fmt::format("trainer {} {} softmax {}", kCodeVersion, kernels::dense(Precision::fp32).name(),
                     kernels::to_string(kernels::best_instruction_set()));
}

}  // namespace cosearch
