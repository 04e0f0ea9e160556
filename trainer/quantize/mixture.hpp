#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/quantize/kernels.hpp"
#include "trainer/quantize/quantized_network.hpp"

/// The kernel of mixtures of experts, as QuantizedMixture defines it, on one row.
namespace cosearch::quantize {

/// An expert that a row chooses.
struct Choice {
  std::size_t expert = 0;
  std::int32_t share = 0;  ///< in Q15
};
/// The `top_k` experts of the largest logits, in the order of their numbers, with their shares among all; R of the
/// exponents has this multiplier and shift.
[[nodiscard]] std::vector<Choice> choose_experts(std::span<const std::int32_t> logits, std::int64_t top_k,
                                                 std::int32_t multiplier, int shift);

/// Weights of a mixture as the loops want them, see padded_rows.
struct PreparedMixture {
  PreparedRows router;  ///< E rows of C
  PreparedRows w1;      ///< E * H rows of C
  PreparedRows w2;      ///< E * C rows of H
};
[[nodiscard]] PreparedMixture prepare_mixture(const QuantizedMixture& mixture);

/// Memory of the kernel, kept from row to row.
struct MixtureWorkspace {
  std::vector<std::int16_t> column, hidden_column;
  std::vector<std::int32_t> logits, sums, totals;
  std::vector<std::int8_t> hidden;
};

/// One row. `layer` has a mixture, `weights` are its own.
void mixture_row(const Centred& x, const QuantizedLayer& layer, const PreparedMixture& weights, const Finish& finish,
                 MixtureWorkspace& workspace, std::int8_t* out);

}  // namespace cosearch::quantize
