#pragma once

#include <cstdint>
#include <string>

#include "spaces/base/expected.hpp"
#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"

namespace cosearch::program {

/// A program with the plan of its memory.
struct PlannedProgram {
  Program program;
  ArenaPlan plan;
  LoweringOptions options;  ///< with the streaming and patches that were chosen
};

/// How a network runs on so much memory under an engine that can stream. Without patches, or where that does not fit
/// with 2, 3 or 4 patches per side, the fewest that fit: of all streamings the one with the fewest operations
/// (multiply-accumulates and element operations, those computed again counted again) whose arena fits in `sram_bytes`;
/// of equal ones the first. Where none fits, the one with the smallest arena. The error is that of lower_program.
[[nodiscard]] Expected<PlannedProgram, std::string> fit_program(const graph::NetworkGraph& graph,
                                                                const LoweringOptions& options,
                                                                std::int64_t sram_bytes);

}  // namespace cosearch::program
