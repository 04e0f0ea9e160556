#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/quantize/arithmetic.hpp"

namespace cosearch::quantize {

/// A mixture of experts on one row x of C features, with E experts of H hidden values, of which `top_k` are chosen:
///     l_e = router_bias[e] + sum over c of (x[c] - zx) * router[e][c]
///     picks = the top_k largest l_e, of equal ones the lower expert; taken in the order of their numbers
///     exponent_e = R(max(l) - l_e, softmax) as an attention's, with its kLargestExponent; e_e =
///     exponential(exponent_e) share_e = expert_share(e_e, total of all e) hidden_e[h] = F(table_zero_point +
///     R(b1[e][h] + sum over c of (x[c] - zx) * w1[e][h][c], multiplier1[e][h])), F clamps to [-128, 127] and looks up
///     table[. + 128], gelu a_e[c] = b2[e][c] + sum over h of (hidden_e[h] - hidden_zero_point) * w2[e][c][h] y[c] =
///     clamp(zy + R(sum over picks of rounded_shift(share_e * a_e[c], kExponentialBits) , multiplier2[c]))
/// in 32 bits but for the product of R and that of share and a, which have 64. R has shift1 and shift2.
struct QuantizedMixture {
  std::int64_t top_k = 1;
  std::vector<std::int8_t> router;        ///< [E][C]; one scale for all, so that logits compare
  std::vector<std::int32_t> router_bias;  ///< [E]; what the embedding of the network's task gives, else 0
  std::vector<std::int8_t> w1;            ///< [E][H][C]; a scale for each e, h
  std::vector<std::int32_t> b1;           ///< [E][H]
  std::vector<std::int32_t> multiplier1;  ///< [E][H]
  int shift1 = 1;                         ///< 1 to 62
  std::vector<std::int8_t> table;         ///< 256 entries
  std::int32_t table_zero_point = 0;      ///< of the values before gelu
  std::int32_t hidden_zero_point = 0;     ///< of the values behind it
  std::vector<std::int8_t> w2;            ///< [E][C][H]; a scale for each c, common to all experts
  std::vector<std::int32_t> b2;           ///< [E][C]
  std::vector<std::int32_t> multiplier2;  ///< [C]
  int shift2 = 1;                         ///< 1 to 62

  [[nodiscard]] std::size_t experts() const noexcept { return router_bias.size(); }
  [[nodiscard]] std::size_t features() const noexcept { return multiplier2.size(); }
  [[nodiscard]] std::size_t hidden() const noexcept { return b1.size() / experts(); }
};

/// The integers of one operator together with the batch norm and activation that are fused into it (the `nodes` of a
/// program::KernelCall). What they mean, with x, zx: an input and its zero point, y, zy: the output and its zero point,
/// clamp: to [low, high], R(sum, m) = requantized(sum, m, shift):
///
/// conv2d, pointwise, depthwise, patch_embed, fully_connected
///     y = F(zy' + R(bias[c] + sum of (x - zx) * weight[c][...], multiplier[c])); what lies outside of an image is zx
/// add         y = F(zy' + ((a - za) * multiplier[0] + (b - zb) * multiplier[1] + 2^(shift-1)) >> shift), in 32 bits
/// position_embed  the same with b = weight[t][e], zb = 0
/// batch_norm  y = F(zy' + ((x - zx) * multiplier[c] + bias[c] + 2^(shift-1)) >> shift), in 32 bits
/// layer_norm  of a row of n: d = n * x - sum(x), v = n * sum(x^2) - sum(x)^2 + epsilon (at least 1),
///     {r, s} = reciprocal_root(v), z = (d * r + 2^(s-13)) >> (s - 12) in 64 bits, |z| < 2^24,
///     y = clamp(zy + (z * multiplier[e] + bias[e] * 2^12 + 2^(shift-1)) >> shift) in 64 bits
/// attention   q, k, v with zero point 0. s_j = sum of q * k_j; exponent_j = R(max(s) - s_j, softmax), kLargestExponent
///     where it is not below; e_j = exponential(exponent_j), 0 for the largest exponent; w_j = attention_weight(e_j),
///     stored as int8 w_j - 128; y = clamp(zy + R(weighted_mean(sum of w_j * v_j, mean_scale(sum of w_j)),
///     multiplier[0]))
/// average_pool, global_average_pool   y = clamp(zy + R(sum of (x - zx) over the window's pixels inside,
/// multiplier[0])) max_pool, upsample, activation without table    x's quantisation is y's; activation: clamp(x)
/// activation with table                           y = table[x + 128]
/// concat      y = clamp(zy + ((x - zi) * multiplier[i] + 2^(shift-1)) >> shift), in 32 bits, i: which input
/// token_embed y = weight[id][e] as it is
/// mixture     see QuantizedMixture
///
/// F is clamp and zy' = zy where there is no table; with a table zy' is `table_zero_point`, and F clamps to [-128, 127]
/// and looks up table[. + 128]. The parameters are chosen so that nothing overflows: see quantize().
struct QuantizedLayer {
  int node = 0;                          ///< the operator's; the first of the call's nodes
  std::vector<std::int8_t> weight;       ///< [out][kernel_h][kernel_w][in / groups]; embeddings [rows][features]
  std::int64_t weight_bits = 8;          ///< 4: all in [-7, 7]
  std::vector<std::int32_t> bias;        ///< of each output channel
  std::vector<std::int32_t> multiplier;  ///< of each output channel, or as said above
  int shift = 1;                         ///< 1 to 62; 1 to 30 where the arithmetic is of 32 bits
  std::int32_t softmax_multiplier = 0;   ///< R of the exponents has a multiplier and shift of its own
  int softmax_shift = 1;
  std::int64_t epsilon = 0;  ///< layer norm: n^2 * epsilon / scale(x)^2
  std::int32_t low = kLowest, high = kHighest;
  std::vector<std::int8_t> table;  ///< 256 entries or none
  std::int32_t table_zero_point = 0;
  std::optional<QuantizedMixture> mixture = std::nullopt;  ///< a mixture of experts; of the rest it has softmax_*
};

/// A network in integers. Token ids are int32 as they are; every other value is int8.
struct QuantizedNetwork {
  graph::NetworkGraph graph;
  /// Of each node's value; meaningless for nodes inside a fused chain. Values that go into an attention (qkv) have the
  /// zero point 0.
  std::vector<Quantization> values;
  std::vector<std::optional<QuantizedLayer>> layers;  ///< by the operator's node; nothing for others
};

}  // namespace cosearch::quantize
