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
    lowered.push_back({&job, layer_prefix(jobs, job), 0.0, *std::move(workload)});
  }
  const std::vector<double> params = job_params(jobs);
  for (std::size_t i = 0; i < lowered.size(); ++i) {
    lowered[i].params = params[i];
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
