#include "hwmodels/asic/layer_tasks.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace cosearch::asic {
namespace {

/// By layer: the layers whose results it reads.
std::vector<std::set<int>> sources_of(const ir::Workload& workload, const std::vector<EinsumRun>& runs) {
  std::vector<int> writer(workload.tensors.size(), -1);
  std::vector<std::set<int>> sources(runs.size());
  for (std::size_t layer = 0; layer < runs.size(); ++layer) {
    for (std::size_t i = runs[layer].first; i < runs[layer].end; ++i) {
      const ir::Einsum& einsum = workload.einsums[i];
      for (const ir::Operand& operand : einsum.operands) {
        const auto* access = std::get_if<ir::Access>(&operand);
        const int source = access == nullptr ? -1 : writer[static_cast<std::size_t>(access->tensor)];
        if (source >= 0 && source != static_cast<int>(layer)) {
          sources[layer].insert(source);
        }
      }
      int& last = writer[static_cast<std::size_t>(einsum.output.tensor)];
      if (last >= 0 && last != static_cast<int>(layer)) {
        sources[layer].insert(last);  // parts of one tensor come in order
      }
      last = static_cast<int>(layer);
    }
  }
  return sources;
}

bool multiplies(const ir::Workload& workload, const EinsumRun& run) {
  const auto begin = workload.einsums.begin();
  return std::any_of(begin + static_cast<std::ptrdiff_t>(run.first), begin + static_cast<std::ptrdiff_t>(run.end),
                     [](const ir::Einsum& einsum) { return ir::operation_counts(einsum).macs > 0; });
}

}  // namespace

LayerTasks layer_tasks(const JobWorkload& job) {
  const std::vector<EinsumRun> runs = einsum_runs(job);
  const std::vector<std::set<int>> sources = sources_of(job.workload, runs);
  LayerTasks tasks;
  for (std::size_t layer = 0; layer < runs.size(); ++layer) {
    int task = -1;
    if (!multiplies(job.workload, runs[layer]) && !tasks.first_layer.empty()) {
      task = 0;
      for (const int source : sources[layer]) {
        task = std::max(task, tasks.task_of[static_cast<std::size_t>(source)]);
      }
    }
    if (task < 0) {
      task = static_cast<int>(tasks.first_layer.size());
      tasks.first_layer.push_back(static_cast<int>(layer));
    }
    tasks.task_of.push_back(task);
  }
  std::set<std::pair<int, int>> seen;
  for (std::size_t layer = 0; layer < runs.size(); ++layer) {
    for (const int source : sources[layer]) {
      const int before = tasks.task_of[static_cast<std::size_t>(source)];
      const int after = tasks.task_of[layer];
      if (before != after && seen.emplace(before, after).second) {
        tasks.edges.push_back({before, after});
      }
    }
  }
  return tasks;
}

}  // namespace cosearch::asic
