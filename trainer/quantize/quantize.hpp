#pragma once

#include <cstdint>
#include <vector>

#include "trainer/data/dataset.hpp"
#include "trainer/quantize/quantized_network.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch::quantize {

/// How the range of a value is chosen from what it took on calibration data.
enum class RangeRule {
  extremes,    ///< smallest to largest
  percentile,  ///< without the outermost (100 - percentile) / 2 % on each side
  entropy,     ///< the clipping with the smallest Kullback-Leibler divergence of the quantised histogram
};
struct QuantizeOptions {
  RangeRule rule = RangeRule::percentile;
  double percentile = 99.99;
  std::int64_t samples = 256;  ///< a fixed, class-balanced part of the training split
};

/// An operator with its batch norm folded in, in floating point: what quantize() rounds and the fp32 export prints.
struct FoldedLayer {
  int node = 0;
  std::vector<float> weight;  ///< [out][kernel_h][kernel_w][in / groups]; embeddings [rows][features]; norms: scale
  std::vector<float> bias;    ///< of each output channel, zeros where there is none; norms: shift
};
/// By the operator's node, as QuantizedNetwork::layers; nothing for operators without weights.
[[nodiscard]] std::vector<std::optional<FoldedLayer>> fold(const graph::NetworkGraph& graph,
                                                           const WeightStore& weights);

/// Real range of every node's value, as it leaves the node.
struct ValueRange {
  double low = 0.0, high = 0.0;
};
[[nodiscard]] std::vector<ValueRange> observe_ranges(const graph::NetworkGraph& graph, const WeightStore& weights,
                                                     const TaskData& data, const QuantizeOptions& options);

/// Integers of a trained network: weights symmetric per output channel in 8 bits, or 4 where the operator says so,
/// values asymmetric in 8. Deterministic.
[[nodiscard]] QuantizedNetwork quantize(const graph::NetworkGraph& graph, const WeightStore& weights,
                                        const std::vector<ValueRange>& ranges);

}  // namespace cosearch::quantize
