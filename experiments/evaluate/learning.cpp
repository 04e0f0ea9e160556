#include "experiments/evaluate/learning.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/metrics.hpp"
#include "trainer/multitask/quantized_tasks.hpp"

namespace cosearch {
namespace {

double error_of(const TaskScore& score) { return score.lower_is_better ? score.value : 1.0 - score.value; }

double mean_error(const std::vector<TaskScore>& scores) {
  double sum = 0.0;
  for (const TaskScore& score : scores) {
    sum += error_of(score);
  }
  return sum / static_cast<double>(scores.size());
}

MultitaskOptions options_of(const Learning& learning, const TrainOptions& recipe) {
  return {recipe, learning.about.task_sampling};
}

/// The score of the task that is learned alone; nothing when stopped.
std::optional<double> score_alone(const Learning& learning, const graph::NetworkGraph& network, std::size_t index,
                                  std::uint64_t seed, const std::stop_token& stop) {
  const std::vector<LearningTask> alone{learning.data.tasks[index]};
  WeightStore weights = make_task_weights(network, seed);
  const auto result = train_tasks(network, alone, options_of(learning, learning.about.train), seed, weights,
                                  &TaskData::search, {}, stop);
  if (result && result->stopped) {
    return std::nullopt;
  }
  const double score = result ? result->scores.front().value : 0.0;
  if (!std::isfinite(score) || score <= 0.0) {
    throw std::runtime_error(fmt::format("task \"{}\" alone gives no baseline for delta_m: {}; give its \"baseline\"",
                                         alone.front().name, result ? "it reaches 0" : result.error().reason));
  }
  return score;
}

/// The same from the cache, where it is known.
std::optional<double> cached_score_alone(const Learning& learning, const graph::NetworkGraph& network,
                                         std::size_t index, std::uint64_t seed, Store& store,
                                         const std::stop_token& stop) {
  const std::string key = fmt::format("{}-{}", hex(graph::hash(network)),
                                      hex(Hasher()
                                              .add("alone")
                                              .add(to_json(learning.about.train).dump())
                                              .add(hash({learning.data.tasks[index]}))
                                              .add(trainer_fingerprint())
                                              .add(seed)
                                              .value()));
  if (const auto known = store.cached_accuracy(key)) {
    return known->metrics.at("accuracy");
  }
  const std::optional<double> score = score_alone(learning, network, index, seed, stop);
  if (score) {
    store.put_accuracy(key, {false, {}, {{"accuracy", *score}}});
  }
  return score;
}

/// Where tokens go in a trained network.
graph::Histograms routing(const Learning& learning, const graph::NetworkGraph& network, const WeightStore& weights,
                          kernels::Precision precision) {
  const TaskData& images = *learning.data.images();
  return task_routing(network, images, images.search, weights, precision);
}

}  // namespace

WeightStore initial_weights(const Learning& learning, const graph::NetworkGraph& network, std::uint64_t seed) {
  return learning.data.tasks.empty() ? WeightStore::for_network(network, seed) : make_task_weights(network, seed);
}

Metrics score_metrics(const Learning& learning, const std::vector<TaskScore>& scores) {
  if (learning.data.tasks.empty()) {
    return {{"accuracy", scores.front().value}, {"error", error_of(scores.front())}};
  }
  const double error = mean_error(scores);
  Metrics metrics{{"accuracy", 1.0 - error}, {"error", error}, {"delta_m", delta_m(scores, learning.data.baselines)}};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const std::string& name = learning.data.tasks[i].name;
    if (scores[i].lower_is_better) {
      metrics[network_metric("rmse", name)] = scores[i].value;
    } else {
      metrics[network_metric("accuracy", name)] = scores[i].value;
      metrics[network_metric("error", name)] = error_of(scores[i]);
    }
  }
  return metrics;
}

Expected<LearningResult, Infeasible> learn(const Learning& learning, const graph::NetworkGraph& network,
                                           const TrainOptions& recipe,
                                           const std::optional<quantize::QuantizeRecipe>& quantize, std::uint64_t seed,
                                           WeightStore& weights, const ProgressSink& progress,
                                           const std::stop_token& stop, const Checkpoint& checkpoint) {
  if (learning.data.tasks.empty()) {
    const TaskData& data = *learning.data.data;
    auto result = quantize::train_quantized(network, data, data.search, recipe, quantize, seed, weights, progress, stop,
                                            checkpoint);
    if (!result) {
      return Unexpected{result.error()};
    }
    const TrainResult& train = result->train;
    if (train.stopped) {
      return LearningResult{.stopped = true};
    }
    LearningResult found{.metrics = score_metrics(learning, {{train.accuracy, false}}),
                         .routing = routing(learning, network, weights, recipe.precision)};
    found.metrics["train_loss"] = train.train_loss;
    if (!result->ranges.empty()) {
      found.ranges.push_back(std::move(result->ranges));
    }
    return found;
  }
  auto result = quantize::train_quantized_tasks(network, learning.data.tasks, options_of(learning, recipe), quantize,
                                                seed, weights, &TaskData::search, progress, stop, checkpoint);
  if (!result) {
    return Unexpected{result.error()};
  }
  if (result->result.stopped) {
    return LearningResult{.stopped = true};
  }
  LearningResult found{.metrics = score_metrics(learning, result->result.scores),
                       .ranges = std::move(result->ranges),
                       .routing = routing(learning, network, weights, recipe.precision)};
  found.metrics["train_loss"] = result->result.train_loss;
  return found;
}

Metrics test_metrics(const Learning& learning, const graph::NetworkGraph& network, const WeightStore& weights,
                     const std::vector<std::vector<quantize::ValueRange>>& ranges, kernels::Precision precision) {
  if (learning.data.tasks.empty()) {
    const TaskData& data = *learning.data.data;
    const double accuracy = ranges.empty() ? evaluate_accuracy(network, data, data.test, weights, 0, precision)
                                           : quantize::quantized_accuracy(
                                                 quantize::quantize(network, weights, ranges.front()), data, data.test);
    return {{"test_accuracy", accuracy}};
  }
  const std::vector<LearningTask>& tasks = learning.data.tasks;
  const std::vector<TaskScore> scores =
      ranges.empty() ? evaluate_tasks(network, tasks, &TaskData::test, weights, 0, precision)
                     : quantize::quantized_scores(network, tasks, &TaskData::test, weights, ranges);
  Metrics metrics{{"test_accuracy", 1.0 - mean_error(scores)}};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const char* const metric = scores[i].lower_is_better ? "test_rmse" : "test_accuracy";
    metrics[network_metric(metric, learning.data.tasks[i].name)] = scores[i].value;
  }
  return metrics;
}

std::uint64_t learning_hash(const Learning& learning) {
  if (learning.data.tasks.empty()) {
    return learning.data.data->content_hash;
  }
  Hasher hasher;
  hasher.add(hash(learning.data.tasks)).add(static_cast<int>(learning.about.task_sampling));
  for (const double baseline : learning.data.baselines) {
    hasher.add(baseline);
  }
  return hasher.value();
}

bool prepare_baselines(const Campaign& campaign, const JointSpace& space, CampaignData& data, Store& store,
                       const std::function<void(const std::string& line)>& note, const std::stop_token& stop) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    const CampaignNetwork& about = campaign.networks[i];
    data[i].baselines.clear();
    for (std::size_t task = 0; task < about.tasks.size(); ++task) {
      std::optional<double> baseline = about.tasks[task].baseline;
      if (!baseline) {
        const graph::NetworkGraph network = space.decode_network(i, about.task_baseline);
        const std::uint64_t seed = Hasher().add(campaign.seed).add(graph::hash(network)).value();
        baseline = cached_score_alone({about, data[i]}, network, task, seed, store, stop);
        if (!baseline) {
          return false;
        }
        note(fmt::format("task {} alone: {:.4f}, the baseline of delta_m", about.tasks[task].name, *baseline));
      }
      data[i].baselines.push_back(*baseline);
    }
  }
  return true;
}

}  // namespace cosearch
