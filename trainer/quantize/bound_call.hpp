#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "spaces/program/program.hpp"
#include "trainer/quantize/kernels.hpp"
#include "trainer/quantize/mixture.hpp"

namespace cosearch::quantize {

/// Scores of attention and token ids are int32.
inline constexpr std::int64_t kWordBytes = 4;

/// An operand of a call in the arena, by rows. Row t of an image is its pixel (t / width, t % width).
struct Operand {
  std::span<std::int8_t> bytes;         ///< of its buffer
  std::int64_t offset = 0, stride = 0;  ///< in bytes, see program::Rows
  bool single_row = false;              ///< holds row t of the round, whatever t is
  std::int64_t width = 1;               ///< of the whole image
  std::optional<program::Window> window = std::nullopt;
  std::int32_t zero_point = 0;

  /// First byte of row t, of which `size` bytes are used. Aborts where these do not lie in the buffer.
  [[nodiscard]] std::int8_t* row(std::int64_t t, std::int64_t size) const;
  [[nodiscard]] Centred centred(std::int64_t t, std::int64_t size) const { return {row(t, size), zero_point}; }
};

/// Weights of a layer as the loops want them.
struct PreparedWeights {
  /// [out][inputs]; of a depthwise layer with one output per channel [kernel_h * kernel_w][channels], not padded.
  PreparedRows rows;
  bool by_position = false;  ///< the second form
};
[[nodiscard]] PreparedWeights prepare_weights(const graph::Op& op, const QuantizedLayer& layer);

/// A call with its operands and parameters.
struct BoundCall {
  const program::KernelCall* call = nullptr;
  const QuantizedLayer* layer = nullptr;  ///< none: max pools, upsampling
  const PreparedWeights* weights = nullptr;
  const PreparedMixture* mixture = nullptr;
  std::vector<Operand> inputs;
  std::vector<std::int64_t> channels;  ///< of a row of each input
  Operand output;
  std::int64_t output_bytes = 0;  ///< of a row, as the call writes it
  Finish finish;
  std::vector<std::int8_t> copy;  ///< of an input that the output overwrites
};

/// Memory of the kernels between the operands, kept from row to row.
struct RowWorkspace {
  std::vector<std::int16_t> column;
  std::vector<std::int32_t> sums;
  MixtureWorkspace mixture;
};

/// Computes row t (pixel, token) of the call's output.
void compute_row(const BoundCall& bound, std::int64_t t, RowWorkspace& workspace);

}  // namespace cosearch::quantize
