#include "trainer/quantize/quantize_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/program/program.hpp"
#include "trainer/quantize/fixed_point.hpp"
#include "trainer/quantize/integer_rows.hpp"
#include "trainer/quantize/values.hpp"

namespace cosearch::quantize {
namespace {

constexpr std::int64_t kBits = 8;
// Differences of two logits, and sums of outputs whose rounded shares are 1.5 at most, fit in 32 bits.
constexpr double kMostSum = kBits30 / 2.0;
constexpr double kMostShares = 1.5;

double activated(graph::ActivationKind kind, double x) {
  switch (kind) {
    case graph::ActivationKind::relu:
      return std::max(x, 0.0);
    case graph::ActivationKind::relu6:
      return std::clamp(x, 0.0, 6.0);
    case graph::ActivationKind::hard_swish:
      return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
    case graph::ActivationKind::gelu:
      return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
  }
  COSEARCH_CHECK(false, "unknown activation");
  return x;
}

void quantize_router(const FoldedMixture& folded, double x, QuantizedLayer& layer) {
  double scale = 0.0;
  const std::vector<RealRow> rows = real_rows(folded.router, folded.router_bias);
  for (const RealRow& row : rows) {
    scale = std::max(scale, row_scale(row, x, kBits, kMostSum));
  }
  IntegerRows integers;
  for (const RealRow& row : rows) {
    integers.add(row, scale, x, kBits);
  }
  const double largest = std::max(1.0, *std::max_element(integers.bound.begin(), integers.bound.end()));
  layer.mixture->router = std::move(integers.weight);
  layer.mixture->router_bias = std::move(integers.bias);
  const double exponents = static_cast<double>(std::int64_t{1} << kExponentBits);
  const double factor = std::min(x * scale * std::numbers::log2e * exponents, kMostSum / largest);
  const FixedPoint softmax = fixed_point(std::vector<double>{factor});
  layer.softmax_multiplier = softmax.multiplier.front();
  layer.softmax_shift = softmax.shift;
}

HiddenQuantizations quantize_hidden(const FoldedMixture& folded, double x, const ValueRange& range,
                                    QuantizedMixture& mixture) {
  IntegerRows integers;
  std::vector<double> factors;
  double least = 0.0;
  for (const RealRow& row : real_rows(folded.w1, folded.b1)) {
    const double scale = row_scale(row, x, kBits);
    integers.add(row, scale, x, kBits);
    // What is always 0 needs no factor, and might have a huge one.
    factors.push_back(integers.bound.back() > 0.0 ? x * scale : 0.0);
    least = std::max(least, factors.back() * integers.bound.back() / kBits30);
  }
  const HiddenQuantizations hidden = hidden_quantizations(range, least);
  for (double& factor : factors) {
    factor /= hidden.before.scale;
  }
  FixedPoint fixed = fixed_point(factors);
  mixture.w1 = std::move(integers.weight);
  mixture.b1 = std::move(integers.bias);
  mixture.multiplier1 = std::move(fixed.multiplier);
  mixture.shift1 = fixed.shift;
  mixture.table = activation_table(graph::ActivationKind::gelu, hidden.before, hidden.behind);
  mixture.table_zero_point = hidden.before.zero_point;
  mixture.hidden_zero_point = hidden.behind.zero_point;
  return hidden;
}

void quantize_outputs(const FoldedMixture& folded, std::size_t features, double hidden, MixtureIntegers& result) {
  const std::vector<RealRow> rows = real_rows(folded.w2, folded.b2);
  std::vector<double> scales(features, 0.0);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    double& scale = scales[row % features];
    scale = std::max(scale, row_scale(rows[row], hidden, kBits, kMostSum));
  }
  IntegerRows integers;
  std::vector<double> bounds(features, 0.0);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    integers.add(rows[row], scales[row % features], hidden, kBits);
    double& bound = bounds[row % features];
    bound = std::max(bound, integers.bound.back());
  }
  for (std::size_t c = 0; c < features; ++c) {
    result.factors.push_back(bounds[c] > 0.0 ? hidden * scales[c] : 0.0);
    result.least_scale = std::max(result.least_scale, result.factors.back() * kMostShares * bounds[c] / kBits30);
  }
  result.layer.mixture->w2 = std::move(integers.weight);
  result.layer.mixture->b2 = std::move(integers.bias);
}

}  // namespace

HiddenQuantizations hidden_quantizations(const ValueRange& range, double least_scale) {
  HiddenQuantizations hidden;
  hidden.before = quantization_of(range, false, least_scale);
  ValueRange behind;
  for (std::int32_t q = kLowest; q <= kHighest; ++q) {
    const double y = activated(graph::ActivationKind::gelu, real(static_cast<std::int8_t>(q), hidden.before));
    behind = {std::min(behind.low, y), std::max(behind.high, y)};
  }
  hidden.behind = quantization_of(behind, false, 0.0);
  return hidden;
}

std::vector<std::int8_t> activation_table(graph::ActivationKind kind, const Quantization& x, const Quantization& y) {
  std::vector<std::int8_t> entries;
  for (std::int32_t q = kLowest; q <= kHighest; ++q) {
    entries.push_back(quantized(activated(kind, real(static_cast<std::int8_t>(q), x)), y));
  }
  return entries;
}

MixtureIntegers quantize_mixture(const graph::MoeFfn& op, const FoldedMixture& folded, const Quantization& x,
                                 const ValueRange& range) {
  COSEARCH_CHECK(op.experts <= program::kMostExperts, "more experts than shares are for");
  MixtureIntegers result;
  result.layer.mixture.emplace().top_k = op.top_k;
  quantize_router(folded, x.scale, result.layer);
  const HiddenQuantizations hidden = quantize_hidden(folded, x.scale, range, *result.layer.mixture);
  const std::size_t features = folded.b2.size() / folded.router_bias.size();
  quantize_outputs(folded, features, hidden.behind.scale, result);
  return result;
}

}  // namespace cosearch::quantize
