#include "trainer/quantize/quantized_training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "spaces/base/json_reader.hpp"

namespace cosearch::quantize {
namespace {

/// Raised with every change that alters the bits of ranges, of a simulation or of the integers.
constexpr int kCodeVersion = 1;

constexpr std::pair<const char*, RangeRule> kRules[] = {
    {"entropy", RangeRule::entropy}, {"extremes", RangeRule::extremes}, {"percentile", RangeRule::percentile}};

const char* name_of(RangeRule rule) {
  return std::find_if(std::begin(kRules), std::end(kRules), [&](const auto& entry) { return entry.second == rule; })
      ->first;
}

}  // namespace

TrainOptions fine_tuning(TrainOptions options, const QuantizeRecipe& recipe) {
  options.epochs = recipe.fine_tune_epochs;
  options.learning_rate *= recipe.fine_tune_rate;
  return options;
}

std::vector<std::string> range_rule_names() {
  std::vector<std::string> names;
  for (const auto& [name, rule] : kRules) {
    names.emplace_back(name);
  }
  return names;
}

QuantizeRecipe quantize_recipe_from_json(const nlohmann::json& json) {
  constexpr std::int64_t kMostSamples = 65536;
  const JsonReader reader(json);
  QuantizeRecipe recipe;
  std::vector<std::string> known;
  const nlohmann::json defaults = to_json(recipe);
  for (const auto& item : defaults.items()) {
    known.push_back(item.key());
  }
  reader.only(known);
  const std::string rule = reader.name_of("rule", name_of(recipe.ranges.rule), range_rule_names());
  recipe.ranges.rule = std::find_if(std::begin(kRules), std::end(kRules), [&](const auto& entry) {
                         return entry.first == rule;
                       })->second;
  recipe.ranges.percentile =
      reader.number("percentile", recipe.ranges.percentile, {.lower = 50.0, .upper = 100.0, .open_lower = true});
  recipe.ranges.samples = reader.integer("samples", recipe.ranges.samples, 1, kMostSamples);
  recipe.fine_tune_epochs = reader.number("fine_tune_epochs", recipe.fine_tune_epochs, {.lower = 0.0, .upper = 1e6});
  recipe.fine_tune_rate = reader.number("fine_tune_rate", recipe.fine_tune_rate, kPositive);
  return recipe;
}

nlohmann::json to_json(const QuantizeRecipe& recipe) {
  return {{"rule", name_of(recipe.ranges.rule)},
          {"percentile", recipe.ranges.percentile},
          {"samples", recipe.ranges.samples},
          {"fine_tune_epochs", recipe.fine_tune_epochs},
          {"fine_tune_rate", recipe.fine_tune_rate}};
}

std::string quantize_fingerprint(const QuantizeRecipe& recipe) {
  return fmt::format("quantize {} {}", kCodeVersion, to_json(recipe).dump());
}

Checkpoint fine_tune_checkpoint(const Checkpoint& checkpoint) {
  return {checkpoint.path.empty() ? std::string() : checkpoint.path + ".fine"};
}

Expected<Quantized, Infeasible> quantize_trained(const graph::NetworkGraph& graph, const TaskData& data,
                                                 const Dataset& evaluate, const TrainOptions& options,
                                                 const QuantizeRecipe& recipe, std::uint64_t seed, WeightStore& store,
                                                 const ProgressSink& progress, const std::stop_token& stop,
                                                 const Checkpoint& checkpoint) {
  Quantized result;
  result.ranges = observe_ranges(graph, store, data, recipe.ranges);
  if (recipe.fine_tune_epochs > 0.0) {
    const Expected<TrainResult, Infeasible> tuned =
        train(graph, data, evaluate, fine_tuning(options, recipe), seed, store, progress, stop, checkpoint,
              simulate(graph, result.ranges));
    if (!tuned) {
      return Unexpected{tuned.error()};
    }
    result.train = *tuned;
    if (tuned->stopped) {
      return result;
    }
  }
  result.train.accuracy =
      quantized_accuracy(quantize(graph, store, result.ranges), data, evaluate, options.evaluate_samples);
  return result;
}

Expected<Quantized, Infeasible> train_quantized(const graph::NetworkGraph& graph, const TaskData& data,
                                                const Dataset& evaluate, const TrainOptions& options,
                                                const std::optional<QuantizeRecipe>& recipe, std::uint64_t seed,
                                                WeightStore& store, const ProgressSink& progress,
                                                const std::stop_token& stop, const Checkpoint& checkpoint) {
  const Expected<TrainResult, Infeasible> trained =
      train(graph, data, evaluate, options, seed, store, progress, stop, checkpoint);
  if (!trained) {
    return Unexpected{trained.error()};
  }
  if (trained->stopped || !recipe) {
    return Quantized{*trained, {}};
  }
  Expected<Quantized, Infeasible> result = quantize_trained(graph, data, evaluate, options, *recipe, seed, store,
                                                            progress, stop, fine_tune_checkpoint(checkpoint));
  if (result && recipe->fine_tune_epochs == 0.0) {
    result->train.train_loss = trained->train_loss;
    result->train.steps = trained->steps;
  }
  return result;
}

}  // namespace cosearch::quantize
