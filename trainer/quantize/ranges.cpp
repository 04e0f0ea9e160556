#include <algorithm>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>

#include "spaces/base/json_reader.hpp"
#include "trainer/data/batch.hpp"
#include "trainer/net/executor.hpp"
#include "trainer/quantize/histogram.hpp"
#include "trainer/quantize/quantize.hpp"
#include "trainer/train/accuracy.hpp"
#include "trainer/train/batch_sequence.hpp"

namespace cosearch::quantize {
namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// Runs a network on the calibration samples. What is counted are extremes and whole numbers, which do not depend on
/// the order of the chunks.
class Calibration {
 public:
  Calibration(const graph::NetworkGraph& graph, const WeightStore& weights, const TaskData& data, std::int64_t samples)
      : graph_(graph),
        parameters_(graph),
        data_(data),
        samples_(balanced_subset(data.train, samples, data.content_hash)) {
    parameters_.load(weights);
  }

  std::vector<ValueRange> extremes() {
    std::vector<ValueRange> ranges(value_count(graph_));
    observe([&](std::size_t value, std::span<const float> values) {
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      const std::lock_guard guard(mutex_);
      ValueRange& range = ranges[value];  // 0 is always inside
      range.low = std::min(range.low, static_cast<double>(*low));
      range.high = std::max(range.high, static_cast<double>(*high));
    });
    return ranges;
  }

  /// Of the values, or of the magnitudes of those that are not 0; empty for values that are all 0.
  std::vector<Histogram> histograms(const std::vector<ValueRange>& ranges, bool magnitudes) {
    std::vector<Histogram> histograms(ranges.size());
    for (std::size_t node = 0; node < ranges.size(); ++node) {
      histograms[node].low = magnitudes ? 0.0 : ranges[node].low;
      histograms[node].high = magnitudes ? std::max(-ranges[node].low, ranges[node].high) : ranges[node].high;
    }
    observe([&](std::size_t value, std::span<const float> values) {
      Histogram& all = histograms[value];
      if (all.low == all.high) {
        return;
      }
      Histogram own{all.low, all.high, {}};
      if (magnitudes) {
        std::vector<float> positive;
        for (const float x : values) {
          if (x != 0.0F) {  // 0 is exact wherever the range ends
            positive.push_back(std::abs(x));
          }
        }
        own.add(positive);
      } else {
        own.add(values);
      }
      const std::lock_guard guard(mutex_);
      all.add(own);
    });
    return histograms;
  }

 private:
  void observe(const ValueObserver& observer) {
    InferenceExecutor executor(graph_, parameters_, {}, observer);
    const BatchSpec spec = plain_batches(input_shape(graph_), data_);
    const InputSource input = [&](std::int64_t first, std::int64_t count, float* out) {
      fill_batch(data_.train, spec,
                 std::span(samples_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)), out);
    };
    const graph::Shape output = TaskShape{data_.train.sample, data_.train.classes, data_.train.dense}.output();
    std::vector<float> outputs(samples_.size() * static_cast<std::size_t>(graph::elements(output)));
    executor.run(input, static_cast<std::int64_t>(samples_.size()), outputs.data());
  }

  const graph::NetworkGraph& graph_;
  Parameters parameters_;
  const TaskData& data_;
  std::vector<std::int64_t> samples_;
  std::mutex mutex_;
};

void cut_percentiles(Calibration& calibration, double percentile, std::vector<ValueRange>& ranges) {
  const double outside = (100.0 - percentile) / 200.0;
  const std::vector<Histogram> histograms = calibration.histograms(ranges, false);
  for (std::size_t node = 0; node < ranges.size(); ++node) {
    if (histograms[node].low < histograms[node].high) {
      ranges[node].low = std::min(0.0, histograms[node].lower_quantile(outside));
      ranges[node].high = std::max(0.0, histograms[node].upper_quantile(outside));
    }
  }
}

void cut_by_divergence(Calibration& calibration, std::vector<ValueRange>& ranges) {
  constexpr std::size_t kLevels = 128;  // on each side of 0
  const std::vector<Histogram> histograms = calibration.histograms(ranges, true);
  for (std::size_t node = 0; node < ranges.size(); ++node) {
    const Histogram& magnitudes = histograms[node];
    if (magnitudes.low < magnitudes.high) {
      const bool one_side = ranges[node].low == 0.0 || ranges[node].high == 0.0;
      const std::size_t kept = least_divergence_cutoff(magnitudes.counts, one_side ? 2 * kLevels : kLevels);
      const double limit = magnitudes.high * static_cast<double>(kept) / static_cast<double>(Histogram::kBins);
      ranges[node].low = std::max(ranges[node].low, -limit);
      ranges[node].high = std::min(ranges[node].high, limit);
    }
  }
}

}  // namespace

std::vector<ValueRange> observe_ranges(const graph::NetworkGraph& graph, const WeightStore& weights,
                                       const TaskData& data, const QuantizeOptions& options) {
  check_fit(graph, data, data.train);
  Calibration calibration(graph, weights, data, options.samples);
  const std::vector<ValueRange> extremes = calibration.extremes();
  std::vector<ValueRange> ranges = extremes;
  switch (options.rule) {
    case RangeRule::extremes:
      break;
    case RangeRule::percentile:
      cut_percentiles(calibration, options.percentile, ranges);
      break;
    case RangeRule::entropy:
      cut_by_divergence(calibration, ranges);
      break;
  }
  for (const int output : graph.outputs) {
    ranges[index(output)] = extremes[index(output)];
  }
  ranges.front() = {std::min(0.0, -data.mean / data.std_dev), std::max(0.0, (1.0 - data.mean) / data.std_dev)};
  return ranges;
}

nlohmann::json to_json(const std::vector<ValueRange>& ranges) {
  nlohmann::json json = nlohmann::json::array();
  for (const ValueRange& range : ranges) {
    json.push_back({range.low, range.high});
  }
  return json;
}

nlohmann::json to_json(const std::vector<std::vector<ValueRange>>& tasks) {
  if (tasks.size() == 1) {
    return to_json(tasks.front());
  }
  nlohmann::json json = nlohmann::json::array();
  for (const std::vector<ValueRange>& ranges : tasks) {
    json.push_back(to_json(ranges));
  }
  return json;
}

std::vector<ValueRange> task_ranges_from_json(const nlohmann::json& json, std::size_t task, std::size_t tasks) {
  if (tasks == 1) {
    return ranges_from_json(json);
  }
  const std::string allowed = "the ranges of each task";
  const JsonReader reader(json);
  const std::vector<JsonReader> items = reader.items(allowed);
  if (items.size() != tasks) {
    reader.refuse(allowed);
  }
  return ranges_from_json(items.at(task).value());
}

std::vector<ValueRange> ranges_from_json(const nlohmann::json& json) {
  const std::string allowed = "[low, high] with low <= high";
  std::vector<ValueRange> ranges;
  for (const JsonReader& item : JsonReader(json).items("a list of " + allowed)) {
    const std::vector<JsonReader> ends = item.items(allowed);
    if (ends.size() != 2 || ends[0].number() > ends[1].number()) {
      item.refuse(allowed);
    }
    ranges.push_back({ends[0].number(), ends[1].number()});
  }
  return ranges;
}

}  // namespace cosearch::quantize
