#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/mcu/boards.hpp"
#include "hwmodels/mcu/coefficients.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/program/variants.hpp"

namespace cosearch::mcu {

/// How a network's program lies on a board, beside the engine's rules. Only our own engine (`cosearch`) has the choice.
struct PlanOptions {
  bool streamed_input = false;   ///< see program::LoweringOptions
  bool weights_in_sram = false;  ///< copied before use: the board's flash cannot be read in place
  std::int64_t reserved_sram_bytes = 0;
};

/// Whether an engine streams rows, heads and patches as its memory needs it.
[[nodiscard]] bool can_stream(const Engine& engine);

/// The program that an engine runs on a board: what program::fit_program finds for the SRAM that is left where the
/// engine can stream, else the network layer by layer. Infeasible: the options ask for what the engine cannot do; the
/// network is malformed or has an operator without a kernel.
[[nodiscard]] Expected<program::PlannedProgram, Infeasible> plan_program(const graph::NetworkGraph& network,
                                                                         const Engine& engine, const Board& board,
                                                                         const PlanOptions& options);

/// `attention by heads, 3 x 3 patches`; empty where every layer runs as a whole.
[[nodiscard]] std::string describe(const program::LoweringOptions& options);

}  // namespace cosearch::mcu
