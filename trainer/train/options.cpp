#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "spaces/base/config_error.hpp"
#include "trainer/train/train.hpp"

namespace cosearch {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A range of real numbers; `open_low` excludes the lower limit, `open_high` the upper one.
struct Range {
  double low = -kInfinity;
  double high = kInfinity;
  bool open_low = false;
  bool open_high = false;

  [[nodiscard]] bool contains(double value) const {
    return std::isfinite(value) && (open_low ? value > low : value >= low) &&
           (open_high ? value < high : value <= high);
  }
  [[nodiscard]] std::string text() const {
    const std::string lower = fmt::format("{} {}", open_low ? "greater than" : "at least", low);
    return high == kInfinity ? lower : fmt::format("{} and {} {}", lower, open_high ? "less than" : "at most", high);
  }
};

constexpr Range kPositive{.low = 0.0, .open_low = true};
constexpr Range kNonNegative{.low = 0.0};
constexpr Range kShareBelowOne{.low = 0.0, .high = 1.0, .open_high = true};

void read(const nlohmann::json& json, const char* key, const Range& range, double& value) {
  const auto found = json.find(key);
  if (found == json.end()) {
    return;
  }
  if (!found->is_number() || !range.contains(found->get<double>())) {
    throw ConfigError(fmt::format("/{}", key),
                      fmt::format("read {}, expected a number {}", found->dump(), range.text()));
  }
  value = found->get<double>();
}

template <class Integer>
void read(const nlohmann::json& json, const char* key, Integer low, Integer high, Integer& value) {
  const auto found = json.find(key);
  if (found == json.end()) {
    return;
  }
  if (!found->is_number_integer() || found->get<double>() < static_cast<double>(low) ||
      found->get<double>() > static_cast<double>(high)) {
    throw ConfigError(fmt::format("/{}", key),
                      fmt::format("read {}, expected an integer from {} to {}", found->dump(), low, high));
  }
  value = found->get<Integer>();
}

void read(const nlohmann::json& json, const char* key, bool& value) {
  const auto found = json.find(key);
  if (found == json.end()) {
    return;
  }
  if (!found->is_boolean()) {
    throw ConfigError(fmt::format("/{}", key), fmt::format("read {}, expected true or false", found->dump()));
  }
  value = found->get<bool>();
}

void read(const nlohmann::json& json, const char* key, OptimizerKind& value) {
  const auto found = json.find(key);
  if (found == json.end()) {
    return;
  }
  if (!found->is_string()) {
    throw ConfigError(fmt::format("/{}", key), fmt::format("read {}, expected \"adamw\" or \"sgd\"", found->dump()));
  }
  const auto name = found->get<std::string>();
  if (name != "adamw" && name != "sgd") {
    throw ConfigError(fmt::format("/{}", key), unknown_name(name, {"adamw", "sgd"}));
  }
  value = name == "sgd" ? OptimizerKind::sgd : OptimizerKind::adamw;
}

}  // namespace

TrainOptions train_options_from_json(const nlohmann::json& json, const TrainOptions& defaults) {
  if (!json.is_object()) {
    throw ConfigError("", fmt::format("a training recipe is an object, read {}", json.type_name()));
  }
  std::vector<std::string> known;
  const nlohmann::json keys = to_json(defaults);
  for (const auto& item : keys.items()) {
    known.push_back(item.key());
  }
  for (const auto& item : json.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      throw ConfigError("/" + item.key(), unknown_name(item.key(), known));
    }
  }
  constexpr std::int64_t kMaximumSamples = 1'000'000'000;
  TrainOptions options = defaults;
  read(json, "epochs", {.low = 0.0, .high = 1e6, .open_low = true}, options.epochs);
  read<std::int64_t>(json, "batch", 1, 65536, options.batch);
  read<std::int64_t>(json, "train_samples", 0, kMaximumSamples, options.train_samples);
  read<std::int64_t>(json, "evaluate_samples", 0, kMaximumSamples, options.evaluate_samples);
  read(json, "optimizer", options.optimizer);
  read(json, "learning_rate", kPositive, options.learning_rate);
  read(json, "momentum", kShareBelowOne, options.momentum);
  read(json, "beta1", kShareBelowOne, options.beta1);
  read(json, "beta2", kShareBelowOne, options.beta2);
  read(json, "epsilon", kPositive, options.epsilon);
  read(json, "weight_decay", kNonNegative, options.weight_decay);
  read(json, "warmup", kShareBelowOne, options.warmup);
  read(json, "label_smoothing", kShareBelowOne, options.label_smoothing);
  read<int>(json, "shift", 0, 1024, options.shift);
  read(json, "flip", options.flip);
  read(json, "clip_norm", kNonNegative, options.clip_norm);
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
          {"clip_norm", options.clip_norm}};
}

}  // namespace cosearch
