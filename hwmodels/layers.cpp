#include "hwmodels/layers.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <variant>

#include <fmt/format.h>

namespace cosearch {
namespace {

/// Joins the accesses, unless an equal one is among them.
bool is_new(const ir::Access& access, std::vector<const ir::Access*>& accesses) {
  if (std::any_of(accesses.begin(), accesses.end(), [&](const ir::Access* other) { return *other == access; })) {
    return false;
  }
  accesses.push_back(&access);
  return true;
}

}  // namespace

std::vector<EinsumRun> einsum_runs(const JobWorkload& job) {
  std::map<std::string, std::string> kinds;
  for (const graph::Node& node : job.graph.nodes) {
    kinds[node.name] = graph::kind_name(node.op);
  }
  std::vector<EinsumRun> runs;
  std::map<std::string, int> seen;
  const std::vector<ir::Einsum>& einsums = job.workload.einsums;
  for (std::size_t i = 0; i < einsums.size(); ++i) {
    if (i > 0 && einsums[i].source == einsums[i - 1].source) {
      runs.back().end = i + 1;
      continue;
    }
    const int occurrence = ++seen[einsums[i].source];
    const std::string suffix = occurrence > 1 ? "#" + std::to_string(occurrence) : "";
    runs.push_back({einsums[i].source + suffix, kinds[einsums[i].source], i, i + 1});
  }
  return runs;
}

std::string job_name(const Job& job) {
  const auto& network = std::get<graph::NetworkGraph>(job.model);
  return job.tasks.size() == 1 && network.outputs.size() > 1 ? fmt::format("{}@{}", network.name, job.tasks[0])
                                                             : network.name;
}

std::string layer_prefix(std::span<const Job> jobs, const Job& job) {
  return jobs.size() > 1 ? job_name(job) + "/" : "";
}

std::int64_t touched_elements(const ir::Workload& workload, const ir::Einsum& einsum, const ir::Access& access) {
  std::vector<std::int64_t> tile;
  for (const ir::Loop& loop : einsum.loops) {
    tile.push_back(loop.extent);
  }
  const std::vector<std::int64_t> origin(tile.size(), 0);
  const std::int64_t reached =
      ir::footprint_inside(access, workload.tensors[static_cast<std::size_t>(access.tensor)], origin, tile);
  if (!einsum.opaque) {
    return reached;
  }
  const bool writes = access.tensor == einsum.output.tensor;
  return std::min(reached, writes ? einsum.opaque->written_elements : einsum.opaque->read_elements);
}

double compulsory_bytes(const ir::Workload& workload, const EinsumRun& run) {
  std::map<int, std::int64_t> read;
  std::map<int, std::int64_t> written;
  // Queries, keys and values are parts of one tensor, and so is what a concatenation writes.
  std::vector<const ir::Access*> counted_reads;
  std::vector<const ir::Access*> counted_writes;
  for (std::size_t i = run.first; i < run.end; ++i) {
    const ir::Einsum& einsum = workload.einsums[i];
    for (const ir::Operand& operand : einsum.operands) {
      const auto* access = std::get_if<ir::Access>(&operand);
      if (access == nullptr || written.find(access->tensor) != written.end() || !is_new(*access, counted_reads)) {
        continue;
      }
      std::int64_t& elements = read[access->tensor];
      elements = std::min(elements + touched_elements(workload, einsum, *access),
                          workload.tensors[static_cast<std::size_t>(access->tensor)].elements());
    }
    std::int64_t& elements = written[einsum.output.tensor];
    if (is_new(einsum.output, counted_writes)) {
      elements = std::min(elements + touched_elements(workload, einsum, einsum.output),
                          workload.tensors[static_cast<std::size_t>(einsum.output.tensor)].elements());
    }
  }
  for (const auto& [tensor, elements] : written) {
    const auto read_by = [&, t = tensor](const ir::Einsum& einsum) {
      return std::any_of(einsum.operands.begin(), einsum.operands.end(), [t](const ir::Operand& operand) {
        const auto* access = std::get_if<ir::Access>(&operand);
        return access != nullptr && access->tensor == t;
      });
    };
    const auto begin = workload.einsums.begin();
    const bool outside = std::any_of(begin, begin + static_cast<std::ptrdiff_t>(run.first), read_by) ||
                         std::any_of(begin + static_cast<std::ptrdiff_t>(run.end), workload.einsums.end(), read_by) ||
                         std::find(workload.outputs.begin(), workload.outputs.end(), tensor) != workload.outputs.end();
    if (outside) {
      read[tensor] += elements;
    }
  }
  double bytes = 0.0;
  for (const auto& [tensor, elements] : read) {
    bytes += static_cast<double>(elements) *
             static_cast<double>(ir::size_bytes(workload.tensors[static_cast<std::size_t>(tensor)].type));
  }
  return bytes;
}

}  // namespace cosearch
