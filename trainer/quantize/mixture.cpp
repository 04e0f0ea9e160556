#include "trainer/quantize/mixture.hpp"

#include <algorithm>
#include <numeric>

namespace cosearch::quantize {
namespace {

/// a of the expert's sums, weighted by its share, is added to the totals.
void add_expert(const Choice& choice, const QuantizedLayer& layer, const PreparedMixture& weights,
                MixtureWorkspace& workspace) {
  const QuantizedMixture& mixture = *layer.mixture;
  const std::size_t hidden = mixture.hidden();
  const std::size_t features = mixture.features();
  const auto rows = static_cast<std::int64_t>(hidden);
  const std::size_t first = choice.expert * hidden;
  linear_sums(workspace.column.data(), weights.w1.row(first), weights.w1.length, rows, workspace.sums.data());
  requantize_channels(workspace.sums.data(), mixture.b1.data() + first, mixture.multiplier1.data() + first,
                      mixture.shift1, {mixture.table_zero_point, kLowest, kHighest, mixture.table.data()}, rows,
                      workspace.hidden.data());
  centre({workspace.hidden.data(), mixture.hidden_zero_point}, rows, workspace.hidden_column.data());
  const std::size_t output = choice.expert * features;
  linear_sums(workspace.hidden_column.data(), weights.w2.row(output), weights.w2.length,
              static_cast<std::int64_t>(features), workspace.sums.data());
  for (std::size_t c = 0; c < features; ++c) {
    const std::int64_t a = mixture.b2[output + c] + workspace.sums[c];
    workspace.totals[c] += static_cast<std::int32_t>(rounded_shift(choice.share * a, kExponentialBits));
  }
}

}  // namespace

std::vector<Choice> choose_experts(std::span<const std::int32_t> logits, std::int64_t top_k, std::int32_t multiplier,
                                   int shift) {
  const std::int32_t largest = *std::max_element(logits.begin(), logits.end());
  std::vector<std::int32_t> exponentials;
  exponentials.reserve(logits.size());
  for (const std::int32_t logit : logits) {
    const std::int32_t exponent = std::min(requantized(largest - logit, multiplier, shift), kLargestExponent);
    exponentials.push_back(exponent == kLargestExponent ? 0 : exponential(exponent));
  }
  const auto total = static_cast<std::uint32_t>(std::accumulate(exponentials.begin(), exponentials.end(), 0));
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(top_k);
  std::partial_sort(order.begin(), end, order.end(), [&](std::size_t a, std::size_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  std::sort(order.begin(), end);
  std::vector<Choice> choices;
  std::transform(order.begin(), end, std::back_inserter(choices), [&](std::size_t expert) {
    return Choice{expert, expert_share(exponentials[expert], total)};
  });
  return choices;
}

PreparedMixture prepare_mixture(const QuantizedMixture& mixture) {
  return {padded_rows(mixture.router, mixture.experts()), padded_rows(mixture.w1, mixture.b1.size()),
          padded_rows(mixture.w2, mixture.b2.size())};
}

void mixture_row(const Centred& x, const QuantizedLayer& layer, const PreparedMixture& weights, const Finish& finish,
                 MixtureWorkspace& workspace, std::int8_t* out) {
  const QuantizedMixture& mixture = *layer.mixture;
  const std::size_t experts = mixture.experts();
  const std::size_t features = mixture.features();
  workspace.column.assign(static_cast<std::size_t>(weights.w1.length), 0);
  workspace.hidden_column.assign(static_cast<std::size_t>(weights.w2.length), 0);
  workspace.hidden.resize(mixture.hidden());
  workspace.sums.resize(std::max(mixture.hidden(), features));
  workspace.totals.assign(features, 0);
  workspace.logits.resize(experts);
  centre(x, static_cast<std::int64_t>(features), workspace.column.data());
  linear_sums(workspace.column.data(), weights.router.row(0), weights.router.length, static_cast<std::int64_t>(experts),
              workspace.logits.data());
  for (std::size_t e = 0; e < experts; ++e) {
    workspace.logits[e] += mixture.router_bias[e];
  }
  for (const Choice& choice :
       choose_experts(workspace.logits, mixture.top_k, layer.softmax_multiplier, layer.softmax_shift)) {
    add_expert(choice, layer, weights, workspace);
  }
  requantize_sums(workspace.totals.data(), mixture.multiplier2.data(), mixture.shift2, finish,
                  static_cast<std::int64_t>(features), out);
}

}  // namespace cosearch::quantize
