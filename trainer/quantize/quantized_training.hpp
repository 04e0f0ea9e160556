#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "trainer/quantize/quantize.hpp"
#include "trainer/train/train.hpp"

namespace cosearch::quantize {

/// How a trained network becomes one of integers; everything that decides them beside network, data and training.
struct QuantizeRecipe {
  QuantizeOptions ranges;
  double fine_tune_epochs = 1.0;  ///< under simulation, behind the training, with its recipe; 0: none
  double fine_tune_rate = 0.1;    ///< of the training's learning rate
};
/// {"rule": "percentile", "percentile": 99.99, "samples": 256, "fine_tune_epochs": 1, "fine_tune_rate": 0.1}; every key
/// may be left out (defaults as shown), rules: entropy, extremes, percentile. @throws ConfigError.
[[nodiscard]] QuantizeRecipe quantize_recipe_from_json(const nlohmann::json& json);
[[nodiscard]] nlohmann::json to_json(const QuantizeRecipe& recipe);
/// Everything that can change the accuracy of a quantised training beside the training itself: recipe and code version.
[[nodiscard]] std::string quantize_fingerprint(const QuantizeRecipe& recipe);
/// What "rule" may be, sorted.
[[nodiscard]] std::vector<std::string> range_rule_names();

/// The recipe of the fine-tuning behind a training by `options`.
[[nodiscard]] TrainOptions fine_tuning(TrainOptions options, const QuantizeRecipe& recipe);

/// What a quantised training leaves beside the weights: with them, quantize() gives the network's integers.
struct Quantized {
  TrainResult train;               ///< of the fine-tuning; the accuracy is that of the integers
  std::vector<ValueRange> ranges;  ///< see observe_ranges; empty: not quantised
};
/// Ranges of a trained network's values, then train() under simulation with these ranges, then integers, whose accuracy
/// is measured. Batch norms keep their statistics. Arguments, results, errors and threads as for train(), whose recipe
/// `options` is.
[[nodiscard]] Expected<Quantized, Infeasible> quantize_trained(const graph::NetworkGraph& graph, const TaskData& data,
                                                               const Dataset& evaluate, const TrainOptions& options,
                                                               const QuantizeRecipe& recipe, std::uint64_t seed,
                                                               WeightStore& store, const ProgressSink& progress = {},
                                                               const std::stop_token& stop = {},
                                                               const Checkpoint& checkpoint = {});

/// The same behind a training; nothing but the training without a recipe. The second checkpoint is
/// `fine_tune_checkpoint`.
[[nodiscard]] Expected<Quantized, Infeasible> train_quantized(
    const graph::NetworkGraph& graph, const TaskData& data, const Dataset& evaluate, const TrainOptions& options,
    const std::optional<QuantizeRecipe>& recipe, std::uint64_t seed, WeightStore& store,
    const ProgressSink& progress = {}, const std::stop_token& stop = {}, const Checkpoint& checkpoint = {});
/// The path of the second of its checkpoints.
[[nodiscard]] Checkpoint fine_tune_checkpoint(const Checkpoint& checkpoint);

/// The accuracy, as `TrainResult` says, of a network's integers on the first `samples` (0: all) of a split, by the
/// interpreter. Same bits for any number of threads.
[[nodiscard]] double quantized_accuracy(const QuantizedNetwork& network, const TaskData& data, const Dataset& split,
                                        std::int64_t samples = 0);

}  // namespace cosearch::quantize
