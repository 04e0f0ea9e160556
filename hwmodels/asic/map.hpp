#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/asic/array.hpp"
#include "hwmodels/asic/energy_table.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// What an einsum finds: the array, the bytes of buffer that nothing else holds, the external bandwidth, and which
/// tensors lie in the buffer already (they cost no external traffic and no tile).
struct Resources {
  ArrayShape array;
  std::int64_t free_bytes = 0;
  double dram_bytes_per_cycle = 1.0;
  std::vector<bool> on_chip;  ///< by tensor
};

/// Accesses and cycles of one einsum under one mapping. Bytes.
struct Mapping {
  bool on_array = false;  ///< false: on the vector unit
  double compute_cycles = 0.0;
  double vector_operations = 0.0;                        ///< elementary operations of the vector unit
  double macs = 0.0;                                     ///< on the array
  ir::ElementType operand_type = ir::ElementType::int8;  ///< of the array's multipliers: the wider operand's
  double weight_bytes_loaded = 0.0;                      ///< into the array's registers
  double sram_read_bytes = 0.0;
  double sram_write_bytes = 0.0;
  double dram_read_bytes = 0.0;
  double dram_write_bytes = 0.0;
  std::int64_t buffer_bytes = 0;  ///< of tiles
  std::string tiles;              ///< `m 196/392, n 64, k 27`: block sizes, of what where it is a part; `streamed`

  [[nodiscard]] double dram_bytes() const noexcept { return dram_read_bytes + dram_write_bytes; }
  [[nodiscard]] double cycles(const Resources& resources) const noexcept;
};

/// The fastest mapping of an einsum; external transfers overlap with computing (tiles are double buffered).
///
/// Multiply-accumulates of two tensors run on the array as matrix products. Blocks of the output's rows, columns and
/// of the reduction are chosen from `blockings`: a block of the streamed and of the stationary operand (twice each) and
/// the partial sums of a block of outputs must fit into the free buffer. With the whole reduction in a block, the
/// better of two loop orders decides what is read once; otherwise partial sums stay while the reduction advances. Small
/// independent products share the array in diagonal blocks. Where that is faster (few outputs per input), they run on
/// the vector unit instead, like everything else, with one lane per array column; so do operand types that the table
/// has no multiply-accumulate for.
///
/// Nothing when no blocking fits. Deterministic.
[[nodiscard]] std::optional<Mapping> map_einsum(const ir::Workload& workload, const ir::Einsum& einsum,
                                                const Resources& resources, const EnergyTable& table);

/// Buffer bytes without which no multiply-accumulate of these types can run: two full sets of the array's weights, two
/// columns of activations and a row of partial sums.
[[nodiscard]] std::int64_t minimum_buffer_bytes(const ArrayShape& array, std::int64_t weight_bytes,
                                                std::int64_t activation_bytes, std::int64_t accumulator_bytes);

}  // namespace cosearch::asic
