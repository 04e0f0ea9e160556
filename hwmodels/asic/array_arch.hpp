#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/model.hpp"

namespace cosearch::asic {

/// An array of rows x columns elements with registers, a buffer and DRAM.
struct ArrayKnobs {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  std::int64_t register_words = 1;
  std::int64_t buffer_bytes = 1;
  double bytes_per_second = 1.0;        ///< from and to DRAM together
  double buffer_bytes_per_cycle = 0.0;  ///< that the buffer delivers; 0: a word per row and column
  double frequency_hz = 1e9;
  std::string dram = "lpddr4";
};

/// The architecture for operands of a type. Assumed: a register file of two words a cycle each way; a double-buffered
/// buffer that takes as many words a cycle as the array has columns; a vector lane per column.
[[nodiscard]] Arch array_arch(const ArrayKnobs& knobs, ir::ElementType type);

/// What the array multiplies for a job: the widest of activations, weights and, in training, gradients; floats before
/// whole numbers.
[[nodiscard]] ir::ElementType widest_operand(const Job& job);

/// Whether multipliers of one type do the other's work: of the same kind, and as wide at least.
[[nodiscard]] bool can_multiply(ir::ElementType multiplier, ir::ElementType operand);

}  // namespace cosearch::asic
