#pragma once

#include <string>
#include <vector>

#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

/// What `estimate --workload` was asked: einsums, an architecture and, perhaps, mappings that the user wrote.
struct WorkloadOptions {
  std::string workload;           ///< file in the text form of spaces/ir, or cascade:NAME
  std::string arch;               ///< preset (eyeriss_168) or .json file, see read_arch; empty: no costs
  std::string mapping;            ///< file; empty: the mapper chooses
  std::string dataflow;           ///< template; empty: what the architecture's levels allow
  std::string objective = "edp";  ///< or latency, energy
  std::string energy_table = "energy_45nm";
  std::int64_t evaluations = 1'000'000;
  std::vector<std::string> settings;  ///< NAME=NUMBER of its sizes, see parse_workload
  bool explain = false;               ///< passes besides the costs
  bool hull = false;                  ///< footprints as Timeloop takes them
};

/// Without an architecture: operations and passes, see print_workload. Else costs every einsum of a workload as
/// networks are costed (see asic::Accelerator): products by their own mapping or by the best one found, all others on
/// the vector lanes. Prints nests, accesses, energies and bounds, and totals; einsums over an iterative rank with all
/// of their steps. The mapping file holds a nest (see parse_nest; of one step) per product below a line `einsum NAME`,
/// which may be missing where the workload has one einsum; with it, all tensors pass the outermost memory between
/// einsums, else they stay in the buffer where there is room. Exit code 3 when a mapping does not fit. @throws
/// ConfigError, e.g. where the energy table lacks vector operations that the workload needs.
[[nodiscard]] int estimate_workload(CommandLine& line, const WorkloadOptions& options);

}  // namespace cosearch::cli
