#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"
#include "trainer/quantize/bound_call.hpp"
#include "trainer/quantize/quantized_network.hpp"

namespace cosearch::quantize {

/// Gives a part of the input where the program streams it: rectangle `window` of the image, row-major with channels. It
/// lies inside of the image; what a patch has beyond the border is the zero point.
using InputReader = std::function<void(const program::Window& window, std::int8_t* out)>;

/// Runs an int8 program, call by call, in one arena at the planned offsets: the reference of the C export, equal to it
/// in every bit. A plan that lets live buffers overlap gives other results than the network has.
class Interpreter {
 public:
  /// All of the same network; the program with element_bytes 1. Both outlive the interpreter.
  Interpreter(const program::Program& program, const QuantizedNetwork& network);

  /// One inference. `input`: int8 values, or int32 token ids as bytes; empty where the program streams its input.
  /// Returns the outputs one after the other.
  [[nodiscard]] std::vector<std::int8_t> run(std::span<const std::int8_t> input, const InputReader& reader = {});

  [[nodiscard]] const program::ArenaPlan& plan() const noexcept { return plan_; }
  /// One past the highest byte of the arena that the last inference has written.
  [[nodiscard]] std::int64_t high_water_bytes() const noexcept { return high_water_bytes_; }

 private:
  [[nodiscard]] std::span<std::int8_t> bytes_of(int buffer);
  [[nodiscard]] Operand operand(int buffer, const program::Rows& rows, std::int64_t element_bytes);
  [[nodiscard]] BoundCall bind(const program::KernelCall& call);
  void run_round(const BoundCall& bound, std::int64_t round, const InputReader& reader);
  void read_input(const BoundCall& bound, std::int64_t round, const InputReader& reader);
  void written(const std::int8_t* end);

  const program::Program& program_;
  const QuantizedNetwork& network_;
  std::vector<graph::Shape> shapes_;                      ///< of the graph's nodes
  std::vector<std::optional<PreparedWeights>> weights_;   ///< by node
  std::vector<std::optional<PreparedMixture>> mixtures_;  ///< by node
  program::ArenaPlan plan_;
  RowWorkspace workspace_;
  std::vector<std::int8_t> arena_;
  std::int64_t high_water_bytes_ = 0;
};

}  // namespace cosearch::quantize
