#pragma once

#include <span>
#include <string>
#include <vector>

#include "hwmodels/job_graph.hpp"
#include "hwmodels/model.hpp"

namespace cosearch {

/// A job with what it lowers to.
struct LoweredJob {
  const Job* job = nullptr;
  std::string prefix;   ///< of its layers' names, see layer_prefix
  double params = 0.0;  ///< see job_params
  JobWorkload workload;
};
/// Infeasible, see job_workload.
[[nodiscard]] Expected<std::vector<LoweredJob>, Infeasible> lower_jobs(std::span<const Job> jobs);

/// What the layers of one job (its runs of einsums) cost, each by itself, or what keeps a layer from running; area and
/// memory for those that run.
struct LayerCosts {
  std::vector<Expected<LayerCost, Infeasible>> layers;
  double area_mm2 = 0.0;
  double sram_bytes = 0.0;
};

/// A model that reads einsums. Who costs the same jobs on several of them lowers the jobs once.
class EinsumModel : public Model {
 public:
  [[nodiscard]] Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const final;
  [[nodiscard]] virtual Expected<Cost, Infeasible> evaluate_lowered(std::span<const LoweredJob> jobs) const = 0;
  /// A layer for which evaluate_lowered refuses the whole job is refused alone. Infeasible: no layer can run.
  [[nodiscard]] virtual Expected<LayerCosts, Infeasible> layer_costs(const LoweredJob& job) const = 0;
};

}  // namespace cosearch
