#pragma once

#include "experiments/cli/command_line.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::cli {

/// Dimensions with their passes and live fibers, see ir::PassAnalysis.
[[nodiscard]] nlohmann::ordered_json passes_json(const ir::Workload& workload);

/// What can be told of a workload without hardware: operations of each einsum, and passes in words (JSON: as
/// `passes_json`; CSV: the operations alone).
void print_workload(CommandLine& line, const ir::Workload& workload);

}  // namespace cosearch::cli
