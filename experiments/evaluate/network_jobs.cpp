#include "experiments/evaluate/network_jobs.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "hwmodels/job_graph.hpp"
#include "spaces/graph/moe.hpp"

namespace cosearch {

std::vector<Job> network_jobs(const std::vector<graph::NetworkGraph>& networks, const Job& like,
                              const Routing& routing) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    Job job = like;
    job.model = networks[i];
    if (!routing.empty() && !routing.at(i).empty()) {
      job.evidence = Evidence{routing.at(i)};
    }
    const std::vector<Job> parts = task_jobs(job);
    jobs.insert(jobs.end(), parts.begin(), parts.end());
  }
  return jobs;
}

double network_parameters(const graph::NetworkGraph& network) {
  if (!graph::routes_by_task(network)) {
    return static_cast<double>(graph::total_counts(network).parameters);
  }
  const std::vector<graph::WeightSpec> weights = graph::task_weights(network);
  return std::accumulate(weights.begin(), weights.end(), 0.0, [](double sum, const graph::WeightSpec& weight) {
    return sum + (weight.trainable ? static_cast<double>(weight.elements()) : 0.0);
  });
}

void count_shared_weights_once(const std::vector<graph::NetworkGraph>& networks, Metrics& cost) {
  const auto params = cost.find("params");
  if (params != cost.end() && std::any_of(networks.begin(), networks.end(), graph::routes_by_task)) {
    params->second = std::accumulate(
        networks.begin(), networks.end(), 0.0,
        [](double sum, const graph::NetworkGraph& network) { return sum + network_parameters(network); });
  }
}

}  // namespace cosearch
