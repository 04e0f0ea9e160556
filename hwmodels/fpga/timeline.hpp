#pragma once

#include <span>
#include <string>
#include <vector>

/// FPGA accelerators of vision transformers with mixtures of experts (M3ViT, Edge-MoE).
namespace cosearch::fpga {

/// One piece of weights and what is computed with it.
struct Piece {
  std::string name;
  double load_cycles = 0.0;
  double compute_cycles = 0.0;
  int expert = -1;  ///< whose weights they are; -1: no expert's
};

struct Span {
  double start = 0.0, end = 0.0;  ///< cycles
  bool operator==(const Span&) const = default;
};

/// When each piece loads and computes.
struct Timeline {
  std::vector<Piece> pieces;
  std::vector<Span> loads, computes;  ///< of the pieces, in their order

  [[nodiscard]] double cycles() const { return computes.empty() ? 0.0 : computes.back().end; }
};

/// One loader and one engine take the pieces in their order, event by event: a load waits for a free one of `buffers`
/// (at least one), a computation for its weights; a buffer is free again when its piece has been computed.
[[nodiscard]] Timeline simulate(std::vector<Piece> pieces, int buffers);

/// The same of two buffers without events: the first load, then of each computation and the load behind it the longer
/// one, then the last computation.
[[nodiscard]] double double_buffered_cycles(std::span<const Piece> pieces);

/// Tokens an expert must have so that the loading of the next one hides behind them. Independent of the layer's sizes
/// where `cycles_per_token` and `load_cycles` both grow with the weights.
[[nodiscard]] double break_even_tokens(double load_cycles, double cycles_per_token);

}  // namespace cosearch::fpga
