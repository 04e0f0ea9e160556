#include "experiments/evaluate/network_jobs.hpp"

#include "hwmodels/job_graph.hpp"

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

}  // namespace cosearch
