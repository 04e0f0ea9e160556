#pragma once

#include <string>
#include <vector>

#include "hwmodels/mcu/coefficients.hpp"

/// What a calibration fits: sets of terms, each a group of features with one coefficient.
namespace cosearch::calibrate {

/// The sets that are tried where none is asked for, e.g. `dense_mac+depthwise_mac+output`; with few terms first. Each
/// says something about all kernels that multiply.
[[nodiscard]] const std::vector<std::string>& default_term_sets();

/// The sets that pooling tries (see pool); engines share what they know of the terms, so that there may be more of
/// them.
[[nodiscard]] const std::vector<std::string>& pooled_term_sets();

/// Terms joined by `+`, their coefficients 0: groups like `mac`, `dense_mac` or `pointwise` (which includes fully
/// connected layers: the same inner loop), or single features like `fully_connected.outputs`.
/// @throws ConfigError (place --terms) for one that is not known or there twice.
[[nodiscard]] std::vector<mcu::Term> parse_terms(const std::string& text);

/// `cycles per MAC` or `cycles per output`.
[[nodiscard]] std::string unit(const mcu::Term& term);

}  // namespace cosearch::calibrate
