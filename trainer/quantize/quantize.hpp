#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "trainer/data/dataset.hpp"
#include "trainer/net/simulation.hpp"
#include "trainer/quantize/quantized_network.hpp"
#include "trainer/store/weight_store.hpp"

/// From a trained network to its integers.
namespace cosearch::quantize {

/// How the range of a value is chosen from what it took on calibration data.
enum class RangeRule {
  extremes,    ///< smallest to largest
  percentile,  ///< without the outermost (100 - percentile) / 2 % on each side
  /// Cut off at the magnitude with the smallest Kullback-Leibler divergence from the histogram of magnitudes, without
  /// zeros, to what its quantised form makes of it (Migacz, "8-bit inference with TensorRT", GTC 2017).
  entropy,
};
struct QuantizeOptions {
  RangeRule rule = RangeRule::percentile;
  double percentile = 99.99;
  std::int64_t samples = 256;  ///< a fixed, class-balanced part of the training split
};

/// A mixture of experts as its kernels read it: E experts, H hidden values, C features.
struct FoldedMixture {
  std::vector<float> router;       ///< [E][C], the part that reads the tokens
  std::vector<float> router_bias;  ///< [E], what the embedding of the network's task gives, else 0
  std::vector<float> w1;           ///< [E][H][C]
  std::vector<float> b1;           ///< [E][H]
  std::vector<float> w2;           ///< [E][C][H]
  std::vector<float> b2;           ///< [E][C]
};

/// An operator with its batch norm folded in, in floating point: what quantize() rounds and the fp32 export prints.
struct FoldedLayer {
  int node = 0;
  std::vector<float> weight;  ///< [out][kernel_h][kernel_w][in / groups]; embeddings [rows][features]; norms: scale
  std::vector<float> bias;    ///< of each output channel, zeros where there is none; norms: shift
  std::optional<FoldedMixture> mixture = std::nullopt;  ///< a mixture of experts, which has neither of these
};
/// By the operator's node, as QuantizedNetwork::layers; nothing for operators without weights. A batch norm that is not
/// folded has the factor and the offset of its running statistics. Weights of 4 bits keep all of theirs.
[[nodiscard]] std::vector<std::optional<FoldedLayer>> fold(const graph::NetworkGraph& graph,
                                                           const WeightStore& weights);

/// The nodes that are one kernel call each, in the order of their first nodes: an operator and what program::KernelCall
/// says of `nodes`. The Input is none.
[[nodiscard]] std::vector<std::vector<int>> fused_chains(const graph::NetworkGraph& graph);

/// Real range of a value.
struct ValueRange {
  double low = 0.0, high = 0.0;
  bool operator==(const ValueRange&) const = default;
};
/// Of every value by its number, see value_count: as it leaves its node, in a chain too, and as a mixture's experts
/// pass it to gelu. Whatever the rule, the range of the Input holds every byte that a sample can have, and those of
/// outputs are the extremes: the largest of them decides the class. Same bits for any number of threads. @throws
/// ConfigError as check_fit.
[[nodiscard]] std::vector<ValueRange> observe_ranges(const graph::NetworkGraph& graph, const WeightStore& weights,
                                                     const TaskData& data, const QuantizeOptions& options);

/// [[low, high], ...]; reading gives the same bits back. @throws ConfigError for anything else.
[[nodiscard]] nlohmann::json to_json(const std::vector<ValueRange>& ranges);
[[nodiscard]] std::vector<ValueRange> ranges_from_json(const nlohmann::json& json);
/// Of each task's network; of a network with one output those of its only task alone.
[[nodiscard]] nlohmann::json to_json(const std::vector<std::vector<ValueRange>>& tasks);
/// The same back, of `task` among `tasks`. @throws ConfigError for anything else.
[[nodiscard]] std::vector<ValueRange> task_ranges_from_json(const nlohmann::json& json, std::size_t task,
                                                            std::size_t tasks);

/// How each node's value is quantised. Ranges are widened to hold 0, which becomes exact. The maximum pool, the
/// upsampling, and relu and relu6 as calls of their own leave their input's quantisation as it is; values that an
/// attention reads have the zero point 0, and so have those that share theirs. In a chain only the value before an
/// activation by table has a quantisation of its own; the others have the chain's.
[[nodiscard]] std::vector<Quantization> value_quantizations(const graph::NetworkGraph& graph,
                                                            const std::vector<ValueRange>& ranges);

/// What the network's integers do, in floating point: for training, and to see accuracies quickly. Exact products and
/// sums instead of rounded biases; norms, softmax and the roundings between inputs of additions are not simulated.
[[nodiscard]] Simulation simulate(const graph::NetworkGraph& graph, const std::vector<ValueRange>& ranges);

/// Integers of a trained network: weights symmetric per output channel in 8 bits, or 4 where the operator says so,
/// values asymmetric in 8. Deterministic. For any ranges and finite weights the arithmetic of QuantizedLayer stays
/// within its bounds:
///  - Sums of convolutions, linear maps and patch embeddings fit in 32 bits: 255 * (sum of a channel's |weight|) < 2^30
///    and |bias| <= 2^30, by widening the channel's scale where they would not; multipliers are at most 2^31 - 1.
///  - What R gives is below 2^30 in magnitude, by widening the scale of the output where it would not: only for ranges
///    that are 2^-22 of what the weights can give, or empty.
///  - Arithmetic of 32 bits: multipliers are at most 2^22, and 255 * (sum of those of an element) + |bias| +
///    2^(shift - 1) < 2^31.
///  - Attention: the softmax multiplier is at most what gives exponents below 2^31 for the largest difference of
///  scores,
///    head_dim * 2^15; below 65,536 tokens sums of exponentials and contexts fit in 32 bits.
///  - Mixtures of experts (at most program::kMostExperts): logits and the sums of an expert's outputs are at most 2^30,
///    by widening the router's scale, and the output channel's; exponents are below 2^31 as an attention's; rounded
///    shares of a row add up to 1.5 at most.
///  - Layer norm: epsilon is 1 to 2^40; |scale| / scale(y) is below 2^18, so that results fit in 32 bits.
/// Aborts for 65,536 tokens or more.
[[nodiscard]] QuantizedNetwork quantize(const graph::NetworkGraph& graph, const WeightStore& weights,
                                        const std::vector<ValueRange>& ranges);

}  // namespace cosearch::quantize
