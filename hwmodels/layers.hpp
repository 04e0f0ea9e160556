#pragma once

#include <span>
#include <string>
#include <vector>

#include "hwmodels/job_graph.hpp"

namespace cosearch {

/// Neighbouring einsums that come from the same graph node: the layers of reports. A node that comes again (gradients,
/// weight updates) is named `<node>#2`, `<node>#3`.
struct EinsumRun {
  std::string name;
  std::string kind;  ///< of the graph node, e.g. `conv2d`
  std::size_t first = 0;
  std::size_t end = 0;  ///< one behind the last einsum
};
[[nodiscard]] std::vector<EinsumRun> einsum_runs(const JobWorkload& job);

/// The network's name; `<network>@<task>` of a job for one of the tasks of a network.
[[nodiscard]] std::string job_name(const Job& job);

/// What the names of a job's layers begin with: nothing, or job_name and / where several jobs run.
[[nodiscard]] std::string layer_prefix(std::span<const Job> jobs, const Job& job);

/// Compulsory traffic of a run: each element that it reads of a tensor from outside once, each element that someone
/// outside needs written once; tensors that live and die inside the run never leave the chip. Bytes.
[[nodiscard]] double compulsory_bytes(const ir::Workload& workload, const EinsumRun& run);

/// Elements inside the tensor that the einsum touches through this access, one of its own.
[[nodiscard]] std::int64_t touched_elements(const ir::Workload& workload, const ir::Einsum& einsum,
                                            const ir::Access& access);

}  // namespace cosearch
