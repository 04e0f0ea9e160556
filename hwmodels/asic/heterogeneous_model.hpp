#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hwmodels/asic/layer_tasks.hpp"
#include "hwmodels/asic/schedule/problem.hpp"
#include "hwmodels/einsum_model.hpp"

namespace cosearch::asic {

/// One sub-accelerator of a design.
struct SubAccelerator {
  std::string name;
  double pes = 0.0;
  std::unique_ptr<const EinsumModel> model;
};

struct HeterogeneousSettings {
  std::optional<std::int64_t> deadline_cycles;  ///< least energy within it; nothing: the least makespan
  bool exact = false;                           ///< branch and bound instead of the heuristic
  double frequency_hz = 1e9;
  std::vector<std::string> notes;
};

/// Sub-accelerators side by side, to which the layers of all jobs are assigned (see make_heterogeneous). A layer that
/// one of them cannot run goes to another; Infeasible where none can, with the reason of each.
class HeterogeneousModel final : public Model {
 public:
  HeterogeneousModel(std::vector<SubAccelerator> units, HeterogeneousSettings settings)
      : units_(std::move(units)), settings_(std::move(settings)) {}

  [[nodiscard]] Expected<Cost, Infeasible> evaluate(std::span<const Job> jobs) const override;
  /// On which sub-accelerator each layer runs and when, then the schedule.
  [[nodiscard]] std::vector<std::string> explain(std::span<const Job> jobs) const override;
  /// The schedule as a Gantt chart.
  [[nodiscard]] std::string picture(std::span<const Job> jobs) const override;

 private:
  struct Plan;
  /// What one sub-accelerator makes of a job's layers.
  using UnitCosts = Expected<LayerCosts, Infeasible>;

  [[nodiscard]] Expected<Plan, Infeasible> make_plan(std::span<const LoweredJob> jobs) const;
  /// The same for jobs that are not lowered yet.
  [[nodiscard]] Expected<Plan, Infeasible> make_plan(std::span<const Job> jobs) const;
  void add(const LoweredJob& job, Plan& plan) const;
  [[nodiscard]] static Expected<schedule::Execution, std::string> execution(const UnitCosts& costs,
                                                                            const LayerTasks& tasks, int task);
  [[nodiscard]] std::string bound(const Plan& plan) const;

  std::vector<SubAccelerator> units_;
  HeterogeneousSettings settings_;
};

}  // namespace cosearch::asic
