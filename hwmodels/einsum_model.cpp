#include "hwmodels/einsum_model.hpp"

#include <utility>

#include "hwmodels/layers.hpp"
#include "spaces/base/check.hpp"

namespace cosearch {

Expected<std::vector<LoweredJob>, Infeasible> lower_jobs(std::span<const Job> jobs) {
  std::vector<LoweredJob> lowered;
  for (const Job& job : jobs) {
    Expected<JobWorkload, Infeasible> workload = job_workload(job);
    if (!workload) {
      return Unexpected{std::move(workload).error()};
    }
    lowered.push_back({&job, layer_prefix(jobs, job), *std::move(workload)});
  }
  return lowered;
}

Expected<Cost, Infeasible> EinsumModel::evaluate(std::span<const Job> jobs) const {
  COSEARCH_CHECK(!jobs.empty(), "nothing to evaluate");
  const Expected<std::vector<LoweredJob>, Infeasible> lowered = lower_jobs(jobs);
  if (!lowered) {
    return Unexpected{lowered.error()};
  }
  return evaluate_lowered(*lowered);
}

}  // namespace cosearch
