#pragma once

#include <vector>

#include "trainer/quantize/quantize.hpp"

/// Mixtures of experts as integers; used by quantize().
namespace cosearch::quantize {

/// How the values between the layers of a mixture's experts are quantised.
struct HiddenQuantizations {
  Quantization before, behind;  ///< gelu
};
/// For values before gelu in this range, whose scale is at least `least_scale`; those behind it hold all that gelu
/// makes of the 256 values before.
[[nodiscard]] HiddenQuantizations hidden_quantizations(const ValueRange& range, double least_scale);

/// Of each possible value of x what `kind` gives, as y.
[[nodiscard]] std::vector<std::int8_t> activation_table(graph::ActivationKind kind, const Quantization& x,
                                                        const Quantization& y);

/// A mixture's layer as far as it does not depend on how its output is quantised.
struct MixtureIntegers {
  QuantizedLayer layer;
  std::vector<double> factors;  ///< of each output channel: the real value of one step of the sums
  /// The output's scale is at least this.
  double least_scale = 0.0;
};
/// `x`: the input; `range`: of the values before gelu.
[[nodiscard]] MixtureIntegers quantize_mixture(const graph::MoeFfn& op, const FoldedMixture& folded,
                                               const Quantization& x, const ValueRange& range);

}  // namespace cosearch::quantize
