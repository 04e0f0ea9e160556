#pragma once

#include <string>

#include "hwmodels/model.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch {

/// The network of a job, without the nodes that only tasks outside `Job::tasks` need. Aborts on a task index that the
/// network does not have.
[[nodiscard]] graph::NetworkGraph job_graph(const Job& job);

/// The network without the batch norms that directly follow a convolution, a linear map or a patch embedding and are
/// its only reader: at inference they fold into its weights and bias (which it then has).
[[nodiscard]] graph::NetworkGraph fold_batch_norms(const graph::NetworkGraph& network);

/// What an accelerator runs for a job: `graph` after folding (inference) as einsums.
struct JobWorkload {
  graph::NetworkGraph graph;
  ir::Workload workload;
  double params = 0.0;  ///< trainable scalars of the network before folding
};
/// Nothing (a reason) when the network is malformed or the batch is not positive.
[[nodiscard]] Expected<JobWorkload, Infeasible> job_workload(const Job& job);

}  // namespace cosearch
