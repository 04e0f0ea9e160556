#include "hwmodels/asic/heterogeneous_model.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/asic/chip_metrics.hpp"
#include "hwmodels/asic/schedule/exact.hpp"
#include "hwmodels/asic/schedule/gantt.hpp"
#include "hwmodels/asic/schedule/heuristic.hpp"
#include "hwmodels/layers.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::asic {

struct HeterogeneousModel::Plan {
  std::vector<LayerTasks> tasks;              ///< by job
  std::vector<int> first_task;                ///< by job: its first task in the problem
  std::vector<std::vector<UnitCosts>> costs;  ///< [job][unit]
  std::vector<double> areas_mm2;              ///< by unit
  schedule::Problem problem;
  schedule::Schedule schedule;

  [[nodiscard]] const schedule::Placement& placement_of(std::size_t job, std::size_t layer) const {
    const int task = first_task[job] + tasks[job].task_of[layer];
    return schedule.placements[static_cast<std::size_t>(task)];
  }
};

Expected<Cost, Infeasible> HeterogeneousModel::evaluate(std::span<const Job> jobs) const {
  COSEARCH_CHECK(!jobs.empty(), "nothing to evaluate");
  const Expected<std::vector<LoweredJob>, Infeasible> lowered = lower_jobs(jobs);
  if (!lowered) {
    return Unexpected{lowered.error()};
  }
  const Expected<Plan, Infeasible> plan = make_plan(std::span<const LoweredJob>(*lowered));
  if (!plan) {
    return Unexpected{plan.error()};
  }
  ChipTotals totals;
  Cost cost;
  std::vector<double> rates(units_.size(), 0.0);
  for (std::size_t job = 0; job < jobs.size(); ++job) {
    for (std::size_t layer = 0; layer < plan->tasks[job].task_of.size(); ++layer) {
      const auto unit = static_cast<std::size_t>(plan->placement_of(job, layer).unit);
      const LayerCosts& on_unit = *plan->costs[job][unit];
      LayerCost chosen = *on_unit.layers[layer];
      chosen.kind += " on " + units_[unit].name;
      totals.add(chosen);
      rates[unit] = std::max(rates[unit], dram_gbps(chosen));
      totals.sram_bytes = std::max(totals.sram_bytes, on_unit.sram_bytes);
      cost.layers.push_back(std::move(chosen));
    }
    totals.params += (*lowered)[job].params;
  }
  totals.dram_gbps = std::accumulate(rates.begin(), rates.end(), 0.0);  // nothing keeps their peaks apart
  totals.peak_macs_per_cycle = 0.0;
  for (std::size_t unit = 0; unit < units_.size(); ++unit) {
    totals.area_mm2 += plan->areas_mm2[unit];
    totals.peak_macs_per_cycle += units_[unit].pes;
  }
  totals.frequency_hz = settings_.frequency_hz;
  totals.cycles = static_cast<double>(plan->schedule.makespan);
  cost.metrics = chip_metrics(totals);
  cost.bound = bound(*plan);
  cost.notes = settings_.notes;
  return cost;
}

std::vector<std::string> HeterogeneousModel::explain(std::span<const Job> jobs) const {
  const Expected<Plan, Infeasible> plan = make_plan(jobs);
  std::vector<std::string> texts;
  for (std::size_t job = 0; plan && job < jobs.size(); ++job) {
    for (std::size_t layer = 0; layer < plan->tasks[job].task_of.size(); ++layer) {
      const schedule::Placement& placement = plan->placement_of(job, layer);
      texts.push_back(fmt::format("  on {}, with its task from cycle {} to {}\n",
                                  units_[static_cast<std::size_t>(placement.unit)].name, placement.start,
                                  placement.end));
    }
  }
  if (plan && !texts.empty()) {
    texts.back() += "\n" + schedule::schedule_table(plan->problem, plan->schedule);
  }
  return texts;
}

std::string HeterogeneousModel::picture(std::span<const Job> jobs) const {
  const Expected<Plan, Infeasible> plan = make_plan(jobs);
  return plan ? schedule::gantt_svg(plan->problem, plan->schedule) : std::string{};
}

Expected<HeterogeneousModel::Plan, Infeasible> HeterogeneousModel::make_plan(std::span<const Job> jobs) const {
  const Expected<std::vector<LoweredJob>, Infeasible> lowered = lower_jobs(jobs);
  if (!lowered) {
    return Unexpected{lowered.error()};
  }
  return make_plan(std::span<const LoweredJob>(*lowered));
}

Expected<HeterogeneousModel::Plan, Infeasible> HeterogeneousModel::make_plan(std::span<const LoweredJob> jobs) const {
  Plan plan;
  plan.areas_mm2.assign(units_.size(), 0.0);
  plan.problem.deadline = settings_.deadline_cycles;
  plan.problem.objective = settings_.deadline_cycles ? schedule::Objective::energy : schedule::Objective::makespan;
  for (const SubAccelerator& unit : units_) {
    plan.problem.units.push_back(unit.name);
  }
  for (const LoweredJob& job : jobs) {
    add(job, plan);
  }
  Expected<schedule::Instance, Infeasible> instance = schedule::check(plan.problem);
  if (!instance) {
    return Unexpected{std::move(instance).error()};
  }
  plan.schedule =
      settings_.exact ? schedule::exact_schedule(*instance).schedule : schedule::heuristic_schedule(*instance);
  return plan;
}

void HeterogeneousModel::add(const LoweredJob& job, Plan& plan) const {
  plan.tasks.push_back(layer_tasks(job.workload));
  plan.first_task.push_back(static_cast<int>(plan.problem.tasks.size()));
  std::vector<UnitCosts> costs;
  for (std::size_t unit = 0; unit < units_.size(); ++unit) {
    costs.push_back(units_[unit].model->layer_costs(job));
    if (costs.back()) {
      plan.areas_mm2[unit] = std::max(plan.areas_mm2[unit], costs.back()->area_mm2);
    }
  }
  const LayerTasks& tasks = plan.tasks.back();
  const std::vector<EinsumRun> runs = einsum_runs(job.workload);
  for (std::size_t task = 0; task < tasks.first_layer.size(); ++task) {
    schedule::Task entry;
    entry.name = runs[static_cast<std::size_t>(tasks.first_layer[task])].name;
    entry.network = static_cast<int>(plan.problem.networks.size());
    for (const UnitCosts& on_unit : costs) {
      entry.on.push_back(execution(on_unit, tasks, static_cast<int>(task)));
    }
    plan.problem.tasks.push_back(std::move(entry));
  }
  for (const schedule::Edge& edge : tasks.edges) {
    plan.problem.edges.push_back({edge.before + plan.first_task.back(), edge.after + plan.first_task.back()});
  }
  plan.problem.networks.push_back(job_name(*job.job));
  plan.costs.push_back(std::move(costs));
}

Expected<schedule::Execution, std::string> HeterogeneousModel::execution(const UnitCosts& costs,
                                                                         const LayerTasks& tasks, int task) {
  if (!costs) {
    return Unexpected{costs.error().reason};
  }
  COSEARCH_CHECK(costs->layers.size() == tasks.task_of.size(), "one cost for each layer");
  schedule::Execution execution;
  double cycles = 0.0;
  for (std::size_t layer = 0; layer < tasks.task_of.size(); ++layer) {
    if (tasks.task_of[layer] != task) {
      continue;
    }
    const Expected<LayerCost, Infeasible>& cost = costs->layers[layer];
    if (!cost) {
      return Unexpected{cost.error().reason};
    }
    cycles += cost->cycles;
    execution.energy += cost->energy_uj;
  }
  execution.cycles = static_cast<std::int64_t>(std::ceil(cycles));
  return execution;
}

std::string HeterogeneousModel::bound(const Plan& plan) const {
  std::string shares;
  for (std::size_t unit = 0; unit < units_.size(); ++unit) {
    std::int64_t busy = 0;
    for (const schedule::Placement& placement : plan.schedule.placements) {
      busy += placement.unit == static_cast<int>(unit) ? placement.end - placement.start : 0;
    }
    shares += fmt::format(
        "{}{} is busy {:.0f} % of the time", unit > 0 ? ", " : "", units_[unit].name,
        100.0 * static_cast<double>(busy) / static_cast<double>(std::max<std::int64_t>(plan.schedule.makespan, 1)));
  }
  return shares + (plan.schedule.in_time ? "" : "; no schedule was found that meets the deadline");
}

}  // namespace cosearch::asic
