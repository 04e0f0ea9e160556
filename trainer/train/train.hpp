#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"
#include "trainer/kernels/dense.hpp"
#include "trainer/net/simulation.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {

enum class OptimizerKind { sgd, adamw };
using kernels::Precision;

/// A training recipe; everything that decides the result.
struct TrainOptions {
  double epochs = 1;  ///< may be fractional
  std::int64_t batch = 64;
  std::int64_t train_samples = 0;     ///< a fixed subset of the training split, class-balanced; 0 = all
  std::int64_t evaluate_samples = 0;  ///< of the evaluated split; 0 = all
  OptimizerKind optimizer = OptimizerKind::sgd;
  double learning_rate = 0.1;
  double momentum = 0.9;                              ///< sgd (Nesterov off)
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< adamw
  double weight_decay = 5e-4;  ///< sgd: L2 in the gradient; adamw: decoupled. Only where WeightSpec::decay
  double warmup = 0.1;         ///< share of all steps with a linearly rising rate; cosine to 0 after it
  double label_smoothing = 0.0;
  int shift = 0;           ///< random shifts by up to this many pixels, zeros moved in
  bool flip = false;       ///< random horizontal flips
  double clip_norm = 0.0;  ///< global gradient norm limit; 0 = off
  Precision precision = Precision::fp32;
  double loss_scale = 1.0;  ///< of the gradients between the loss and the optimiser, against underflow
};
/// Reads a recipe's keys from a config object (those present), unknown keys are errors. @throws ConfigError.
[[nodiscard]] TrainOptions train_options_from_json(const nlohmann::json& json, const TrainOptions& defaults = {});
[[nodiscard]] nlohmann::json to_json(const TrainOptions& options);
/// What the key "precision" may be, sorted.
[[nodiscard]] std::vector<std::string> precision_names();

/// Called now and then during long work, never concurrently for one training.
struct TrainProgress {
  std::int64_t step = 0, steps = 0;
  double loss = 0.0;  ///< running mean
};
using ProgressSink = std::function<void(const TrainProgress&)>;

struct TrainResult {
  double accuracy = 0.0;    ///< on the evaluated split; of pixels that have labels, the mean intersection over union
  double train_loss = 0.0;  ///< mean of the last epoch (or of all steps where there is less than one)
  std::int64_t steps = 0;
  bool stopped = false;  ///< a stop was requested: the figures are not a result
};

/// Where a training saves its state (weights, optimiser, step) after each epoch and when it is stopped, and continues
/// from, to the same bits as without the interruption. A file of another training (network, recipe, data, seed, initial
/// weights or code) or a damaged one is ignored and overwritten. train() throws std::runtime_error, naming the path,
/// where it cannot write.
struct Checkpoint {
  std::string path;  ///< empty: none
};

/// Trains `store`'s weights for `graph` and measures the accuracy on `evaluate`. Images are resized (bilinear) to the
/// graph's input. The seed of all random streams is a function of `seed` alone, so callers pass one derived from
/// (evaluator seed, network hash). Same bits for any number of threads.
/// `store` receives the weights unless the training was stopped or diverged. Infeasible: the loss became NaN or
/// infinite (says at which step). @throws ConfigError: the network's input or output does not fit the data set, or
/// this machine or build does not have the precision. Where there is a simulation, the network is trained and measured
/// under it.
[[nodiscard]] Expected<TrainResult, Infeasible> train(
    const graph::NetworkGraph& graph, const TaskData& data, const Dataset& evaluate, const TrainOptions& options,
    std::uint64_t seed, WeightStore& store, const ProgressSink& progress = {}, const std::stop_token& stop = {},
    const Checkpoint& checkpoint = {}, const Simulation& simulation = {});

/// The accuracy, as `TrainResult` says, of trained weights on a split (first `samples`, 0 = all).
[[nodiscard]] double evaluate_accuracy(const graph::NetworkGraph& graph, const TaskData& data, const Dataset& split,
                                       const WeightStore& store, std::int64_t samples = 0,
                                       Precision precision = Precision::fp32, const Simulation& simulation = {});

/// Everything that can change an accuracy: code version, backend, instruction set. With the recipe, the data's hash
/// and the seed it keys the accuracy cache.
[[nodiscard]] std::string trainer_fingerprint();

}  // namespace cosearch
