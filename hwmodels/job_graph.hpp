#pragma once

#include <span>
#include <string>
#include <vector>

#include "hwmodels/model.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/graph/moe.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch {

/// The network of a job, without the nodes that only tasks outside `Job::tasks` need. Aborts on a task index that the
/// network does not have. Of one task it is graph::task_network.
[[nodiscard]] graph::NetworkGraph job_graph(const Job& job);

/// The jobs that run for this one, one after the other but on hardware that schedules jobs side by side
/// (asic_heterogeneous): it alone or, where tokens are routed by task, one for each of its tasks.
[[nodiscard]] std::vector<Job> task_jobs(const Job& job);
/// One job for each of its tasks, whatever they share; of a single output it alone.
[[nodiscard]] std::vector<Job> each_task(const Job& job);

/// Trainable scalars of each job's network before folding, without those of jobs before it: jobs that follow each other
/// share weights by name where they run other tasks of the same network.
[[nodiscard]] std::vector<double> job_params(std::span<const Job> jobs);

/// The network without the batch norms that directly follow a convolution, a linear map or a patch embedding and are
/// its only reader: at inference they fold into its weights and bias (which it then has).
[[nodiscard]] graph::NetworkGraph fold_batch_norms(const graph::NetworkGraph& network);

/// What an accelerator runs for a job: `graph` after folding (inference) as einsums.
struct JobWorkload {
  graph::NetworkGraph graph;
  ir::Workload workload;
  std::vector<graph::QueuedEinsums> queues;  ///< which einsums are those of a mixture's experts
};
/// Experts get the tokens that the job's evidence tells. Nothing (a reason) when the network is malformed, the batch is
/// not positive, the evidence does not fit the network, or several tasks route tokens by task (`task_jobs`).
[[nodiscard]] Expected<JobWorkload, Infeasible> job_workload(const Job& job);

}  // namespace cosearch
