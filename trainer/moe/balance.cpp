#include "trainer/moe/balance.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

namespace cosearch::moe {
namespace {

/// Added to the mean's square, as in graph::MoeFfn.
constexpr double kFloor = 1e-10;

struct Variation {
  double mean = 0.0;
  double variance = 0.0;
  double floored = kFloor;  ///< mean^2 + floor

  [[nodiscard]] double squared() const { return variance / floored; }
};

/// Of one expert alone: no variance.
Variation variation(std::span<const double> values) {
  Variation result;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) {
    result.mean += value / count;
  }
  for (const double value : values) {
    result.variance += (value - result.mean) * (value - result.mean) / std::max(1.0, count - 1.0);
  }
  result.floored = result.mean * result.mean + kFloor;
  return result;
}

/// Replaces the values by the gradient of CV^2 by each of them.
void to_gradient(std::span<double> values) {
  const Variation v = variation(values);
  const auto count = static_cast<double>(values.size());
  for (double& value : values) {
    value = 2.0 * (value - v.mean) / (std::max(1.0, count - 1.0) * v.floored) -
            2.0 * v.variance * v.mean / (count * v.floored * v.floored);
  }
}

/// By expert, in the working memory; like the loads.
std::span<double> importances(const Gate& gate) {
  const std::span<double> sums(gate.work, gate.experts());
  std::fill(sums.begin(), sums.end(), 0.0);
  for (std::int64_t e = 0; e < gate.shape.experts; ++e) {
    for (std::int32_t p = gate.begin[e]; p < gate.begin[e + 1]; ++p) {
      sums[static_cast<std::size_t>(e)] += static_cast<double>(gate.shares[gate.tokens[p] * gate.shape.experts + e]);
    }
  }
  return sums;
}

/// Whether the load depends on the logits.
bool is_smooth(const Gate& gate) { return gate.deviation > 0.0 && gate.shape.top_k < gate.shape.experts; }

/// Calls visit(row, expert, threshold's expert, how many deviations the logit is above it). The threshold of an expert
/// that is chosen is the largest noisy logit that is not, of another one the smallest that is.
template <class Visit>
void for_each_margin(const Gate& gate, const Visit& visit) {
  const kernels::MoeShape one{.rows = 1, .experts = gate.shape.experts, .top_k = gate.shape.top_k + 1};
  // Behind the sums; an int32 has half of a double's size.
  auto* order = reinterpret_cast<std::int32_t*>(gate.work + gate.shape.experts);
  for (std::int64_t row = 0; row < gate.shape.rows; ++row) {
    const float* clean = gate.clean + row * gate.shape.experts;
    const float* noisy = gate.noisy + row * gate.shape.experts;
    kernels::top_k(one, noisy, order);
    const std::int32_t* first_left = order + gate.shape.top_k;
    for (std::int32_t e = 0; e < gate.shape.experts; ++e) {
      const bool chosen = std::find(order, order + gate.shape.top_k, e) != first_left;
      const std::int64_t threshold = chosen ? *first_left : *(first_left - 1);
      visit(row, e, threshold,
            (static_cast<double>(clean[e]) - static_cast<double>(noisy[threshold])) / gate.deviation);
    }
  }
}

std::span<double> loads(const Gate& gate) {
  const std::span<double> sums(gate.work, gate.experts());
  if (is_smooth(gate)) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for_each_margin(gate, [&](std::int64_t /*row*/, std::int64_t e, std::int64_t /*threshold*/, double margin) {
      sums[static_cast<std::size_t>(e)] += std::erfc(-margin / std::numbers::sqrt2) / 2.0;
    });
    return sums;
  }
  for (std::int64_t e = 0; e < gate.shape.experts; ++e) {
    sums[static_cast<std::size_t>(e)] = static_cast<double>(gate.begin[e + 1] - gate.begin[e]);
  }
  return sums;
}

}  // namespace

double balance_loss(const Gate& gate) {
  const double importance = variation(importances(gate)).squared();
  return importance + variation(loads(gate)).squared();
}

void add_importance_gradient(const Gate& gate, double scale, float* dshares) {
  const std::span<double> gradient = importances(gate);
  to_gradient(gradient);
  for (std::int64_t e = 0; e < gate.shape.experts; ++e) {
    const auto part = static_cast<float>(scale * gradient[static_cast<std::size_t>(e)]);
    for (std::int32_t p = gate.begin[e]; p < gate.begin[e + 1]; ++p) {
      dshares[gate.tokens[p] * gate.shape.experts + e] += part;
    }
  }
}

void add_load_gradient(const Gate& gate, double scale, float* dlogits) {
  if (!is_smooth(gate)) {
    return;
  }
  const std::span<double> gradient = loads(gate);
  to_gradient(gradient);
  const double density = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  for_each_margin(gate, [&](std::int64_t row, std::int64_t e, std::int64_t threshold, double margin) {
    const double slope = density * std::exp(-margin * margin / 2.0) / gate.deviation;
    const auto part = static_cast<float>(scale * gradient[static_cast<std::size_t>(e)] * slope);
    dlogits[row * gate.shape.experts + e] += part;
    dlogits[row * gate.shape.experts + threshold] -= part;
  });
}

}  // namespace cosearch::moe
