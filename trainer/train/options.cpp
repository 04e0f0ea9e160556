#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "spaces/base/json_reader.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {
namespace {

constexpr std::pair<const char*, Precision> kPrecisions[] = {
    {"bf16", Precision::bf16},
    {"fp16_mcu", Precision::fp16_mcu},
    {"fp16_mcu_fp32_accumulate", Precision::fp16_mcu_fp32_accumulate},
    {"fp32", Precision::fp32}};

Precision precision_named(const JsonReader& reader) {
  const std::string read = reader.name_of(precision_names());
  return std::find_if(std::begin(kPrecisions), std::end(kPrecisions),
                      [&](const auto& entry) { return entry.first == read; })
      ->second;
}

std::string name_of(Precision precision) {
  return std::find_if(std::begin(kPrecisions), std::end(kPrecisions),
                      [&](const auto& entry) { return entry.second == precision; })
      ->first;
}

}  // namespace

std::vector<std::string> precision_names() {
  std::vector<std::string> names;
  for (const auto& [name, precision] : kPrecisions) {
    names.emplace_back(name);
  }
  return names;
}

TrainOptions train_options_from_json(const nlohmann::json& json, const TrainOptions& defaults) {
  const JsonReader reader(json);
  std::vector<std::string> known;
  const nlohmann::json keys = to_json(defaults);
  for (const auto& item : keys.items()) {
    known.push_back(item.key());
  }
  reader.only(known);
  constexpr std::int64_t kMostSamples = 1'000'000'000;
  constexpr Interval kShareBelowOne{.lower = 0.0, .upper = 1.0, .open_upper = true};
  TrainOptions options = defaults;
  options.epochs = reader.number("epochs", options.epochs, {.lower = 0.0, .upper = 1e6, .open_lower = true});
  options.batch = reader.integer("batch", options.batch, 1, 65536);
  options.train_samples = reader.integer("train_samples", options.train_samples, 0, kMostSamples);
  options.evaluate_samples = reader.integer("evaluate_samples", options.evaluate_samples, 0, kMostSamples);
  if (const auto optimizer = reader.find("optimizer")) {
    options.optimizer = optimizer->name_of({"adamw", "sgd"}) == "sgd" ? OptimizerKind::sgd : OptimizerKind::adamw;
  }
  options.learning_rate = reader.number("learning_rate", options.learning_rate, kPositive);
  options.momentum = reader.number("momentum", options.momentum, kShareBelowOne);
  options.beta1 = reader.number("beta1", options.beta1, kShareBelowOne);
  options.beta2 = reader.number("beta2", options.beta2, kShareBelowOne);
  options.epsilon = reader.number("epsilon", options.epsilon, kPositive);
  options.weight_decay = reader.number("weight_decay", options.weight_decay, kNonNegative);
  options.warmup = reader.number("warmup", options.warmup, kShareBelowOne);
  options.label_smoothing = reader.number("label_smoothing", options.label_smoothing, kShareBelowOne);
  options.shift = static_cast<int>(reader.integer("shift", options.shift, 0, 1024));
  options.flip = reader.boolean("flip", options.flip);
  options.clip_norm = reader.number("clip_norm", options.clip_norm, kNonNegative);
  if (const auto precision = reader.find("precision")) {
    options.precision = precision_named(*precision);
    static_cast<void>(kernels::dense(options.precision));  // says where it is not to be had
  }
  options.loss_scale = reader.number("loss_scale", options.loss_scale, kPositive);
  return options;
}

nlohmann::json to_json(const TrainOptions& options) {
  return {{"epochs", options.epochs},
          {"batch", options.batch},
          {"train_samples", options.train_samples},
          {"evaluate_samples", options.evaluate_samples},
          {"optimizer", options.optimizer == OptimizerKind::sgd ? "sgd" : "adamw"},
          {"learning_rate", options.learning_rate},
          {"momentum", options.momentum},
          {"beta1", options.beta1},
          {"beta2", options.beta2},
          {"epsilon", options.epsilon},
          {"weight_decay", options.weight_decay},
          {"warmup", options.warmup},
          {"label_smoothing", options.label_smoothing},
          {"shift", options.shift},
          {"flip", options.flip},
          {"clip_norm", options.clip_norm},
          {"precision", name_of(options.precision)},
          {"loss_scale", options.loss_scale}};
}

}  // namespace cosearch
