#pragma once

#include <vector>

#include "experiments/store/store.hpp"
#include "hwmodels/model.hpp"
#include "spaces/graph/graph.hpp"

namespace cosearch {

/// What networks run on the hardware, each as the job `like` says but for its network: one job for each, or one for
/// each task of a network that routes tokens by task. `routing`: where tokens go in trained networks, one entry for
/// each network; empty: spread evenly.
[[nodiscard]] std::vector<Job> network_jobs(const std::vector<graph::NetworkGraph>& networks, const Job& like,
                                            const Routing& routing);

}  // namespace cosearch
