#pragma once

#include <cstddef>
#include <cstdint>

#include "trainer/kernels/moe.hpp"

/// The loss that spreads tokens over experts (graph::MoeFfn), over the tokens of one call: CV^2 of the experts'
/// importances plus CV^2 of their loads.
namespace cosearch::moe {

/// What a router gave for a set of tokens.
struct Gate {
  kernels::MoeShape shape;
  const float* shares = nullptr;         ///< (rows, experts), softmax
  const std::int32_t* begin = nullptr;   ///< (experts + 1), where the experts' pairs begin
  const std::int32_t* tokens = nullptr;  ///< (pairs)
  /// With noise: logits without it and with it (rows, experts), and its deviation. The load is then the expected one;
  /// without noise it is counted.
  const float* clean = nullptr;
  const float* noisy = nullptr;
  double deviation = 0.0;
  double* work = nullptr;  ///< working memory, 2 * experts

  [[nodiscard]] std::size_t experts() const noexcept { return static_cast<std::size_t>(shape.experts); }
};

/// CV^2(importance) + CV^2(load).
[[nodiscard]] double balance_loss(const Gate& gate);
/// Adds its gradient, times `scale`: by the kept shares to dshares (rows, experts), where other entries are left alone,
/// and by the logits, through the load, to dlogits (rows, experts).
void add_importance_gradient(const Gate& gate, double scale, float* dshares);
void add_load_gradient(const Gate& gate, double scale, float* dlogits);

}  // namespace cosearch::moe
