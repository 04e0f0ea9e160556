#include "hwmodels/asic/schedule/problem.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "hwmodels/text.hpp"

namespace cosearch::schedule {
namespace {

using Reason = std::optional<std::string>;

Reason wrong_task(const Problem& problem, const Task& task) {
  if (task.network < 0 || task.network >= static_cast<int>(problem.networks.size())) {
    return fmt::format("task \"{}\" belongs to network {}, there are {}", task.name, task.network,
                       problem.networks.size());
  }
  if (task.on.size() != problem.units.size()) {
    return fmt::format("task \"{}\" has costs on {} units, there are {}", task.name, task.on.size(),
                       problem.units.size());
  }
  if (task.release < 0) {
    return fmt::format("task \"{}\" is released in cycle {}, expected at least 0", task.name, task.release);
  }
  std::vector<std::string> refusals;
  for (std::size_t u = 0; u < task.on.size(); ++u) {
    if (!task.on[u]) {
      refusals.push_back(problem.units[u] + ": " + task.on[u].error());
      continue;
    }
    const Execution& execution = *task.on[u];
    if (execution.cycles < 0) {
      return fmt::format("task \"{}\" takes {} cycles on {}, expected at least 0", task.name, execution.cycles,
                         problem.units[u]);
    }
    if (!(execution.energy >= 0.0) || !std::isfinite(execution.energy)) {
      return fmt::format("task \"{}\" takes an energy of {} on {}, expected a finite number of at least 0", task.name,
                         execution.energy, problem.units[u]);
    }
  }
  if (refusals.size() == task.on.size()) {
    return fmt::format("no unit can run task \"{}\": {}", task.name, fmt::join(refusals, "; "));
  }
  return std::nullopt;
}

Reason wrong_problem(const Problem& problem) {
  if (problem.units.empty()) {
    return "there is no unit to run tasks on";
  }
  if (problem.deadline && *problem.deadline < 0) {
    return fmt::format("the deadline is {}, expected at least 0", *problem.deadline);
  }
  for (const Task& task : problem.tasks) {
    if (Reason reason = wrong_task(problem, task)) {
      return reason;
    }
  }
  const int tasks = static_cast<int>(problem.tasks.size());
  for (const Edge& edge : problem.edges) {
    if (std::min(edge.before, edge.after) < 0 || std::max(edge.before, edge.after) >= tasks) {
      return fmt::format("an edge leads from task {} to task {}, there are {}", edge.before, edge.after, tasks);
    }
  }
  return std::nullopt;
}

/// The worst schedule, one task after the other on its slowest unit, must stay within what the numbers hold.
Reason overflow(const Problem& problem) {
  std::int64_t horizon = 0;
  double energy = 0.0;
  for (const Task& task : problem.tasks) {
    horizon = std::max(horizon, task.release);
  }
  const auto excess = [](const Task* task) {
    return fmt::format("the durations add up to more than {} cycles{}", grouped(kLargestCycles),
                       task == nullptr ? "" : " at task \"" + task->name + "\"");
  };
  if (horizon > kLargestCycles) {
    return excess(nullptr);
  }
  for (const Task& task : problem.tasks) {
    Execution slowest;
    for (const auto& execution : task.on) {
      if (execution) {
        slowest.cycles = std::max(slowest.cycles, execution->cycles);
        slowest.energy = std::max(slowest.energy, execution->energy);
      }
    }
    if (slowest.cycles > kLargestCycles - horizon) {
      return excess(&task);
    }
    horizon += slowest.cycles;
    energy += slowest.energy;
  }
  if (!std::isfinite(energy * static_cast<double>(std::max<std::int64_t>(horizon, 1)))) {
    return "energy times makespan exceeds the range of a double";
  }
  return std::nullopt;
}

void add_costs(const Problem& problem, Instance& instance) {
  for (const Task& task : problem.tasks) {
    std::int64_t fastest = kLargestCycles;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& execution : task.on) {
      instance.cycles.push_back(execution ? execution->cycles : Instance::kCannotRun);
      instance.energy.push_back(execution ? execution->energy : 0.0);
      if (execution) {
        fastest = std::min(fastest, execution->cycles);
        least = std::min(least, execution->energy);
      }
    }
    instance.release.push_back(task.release);
    instance.fastest.push_back(fastest);
    instance.least_energy.push_back(least);
  }
}

void add_edges(const Problem& problem, Instance& instance) {
  instance.before.resize(problem.tasks.size());
  instance.after.resize(problem.tasks.size());
  for (const Edge& edge : problem.edges) {
    instance.before[static_cast<std::size_t>(edge.after)].push_back(edge.before);
    instance.after[static_cast<std::size_t>(edge.before)].push_back(edge.after);
  }
  for (auto* lists : {&instance.before, &instance.after}) {
    for (std::vector<int>& list : *lists) {
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
    }
  }
}

/// Kahn's algorithm; tasks of a cycle, and those after one, are left out.
std::vector<int> topological_order(const Instance& instance) {
  std::vector<std::size_t> missing;
  std::set<int> open;
  for (int task = 0; task < instance.tasks; ++task) {
    missing.push_back(instance.before[static_cast<std::size_t>(task)].size());
    if (missing.back() == 0) {
      open.insert(task);
    }
  }
  std::vector<int> order;
  while (!open.empty()) {
    const int task = *open.begin();
    open.erase(open.begin());
    order.push_back(task);
    for (const int next : instance.after[static_cast<std::size_t>(task)]) {
      if (--missing[static_cast<std::size_t>(next)] == 0) {
        open.insert(next);
      }
    }
  }
  return order;
}

/// Every task outside `order` has a predecessor outside: walking backwards must come back to where it was.
std::string cycle_of(const Problem& problem, const Instance& instance) {
  std::vector<bool> ordered(problem.tasks.size(), false);
  for (const int task : instance.order) {
    ordered[static_cast<std::size_t>(task)] = true;
  }
  std::vector<int> walk{static_cast<int>(std::find(ordered.begin(), ordered.end(), false) - ordered.begin())};
  for (;;) {
    const std::vector<int>& before = instance.before[static_cast<std::size_t>(walk.back())];
    const int next =
        *std::find_if(before.begin(), before.end(), [&](int task) { return !ordered[static_cast<std::size_t>(task)]; });
    const auto seen = std::find(walk.begin(), walk.end(), next);
    if (seen != walk.end()) {
      std::string names = problem.tasks[static_cast<std::size_t>(next)].name;
      for (auto task = walk.rbegin(); task != std::make_reverse_iterator(seen); ++task) {
        names += " -> " + problem.tasks[static_cast<std::size_t>(*task)].name;
      }
      return names;
    }
    walk.push_back(next);
  }
}

void add_bounds(Instance& instance) {
  instance.fastest_after.assign(static_cast<std::size_t>(instance.tasks), 0);
  std::int64_t work = 0;
  for (auto task = instance.order.rbegin(); task != instance.order.rend(); ++task) {
    const auto t = static_cast<std::size_t>(*task);
    work += instance.fastest[t];
    for (const int next : instance.after[t]) {
      const auto n = static_cast<std::size_t>(next);
      instance.fastest_after[t] = std::max(instance.fastest_after[t], instance.fastest[n] + instance.fastest_after[n]);
    }
  }
  instance.least_makespan = (work + instance.units - 1) / instance.units;
  std::vector<std::int64_t> end(static_cast<std::size_t>(instance.tasks), 0);
  for (const int task : instance.order) {
    const auto t = static_cast<std::size_t>(task);
    std::int64_t start = instance.release[t];
    for (const int previous : instance.before[t]) {
      start = std::max(start, end[static_cast<std::size_t>(previous)]);
    }
    end[t] = start + instance.fastest[t];
    instance.least_makespan = std::max(instance.least_makespan, end[t]);
  }
}

}  // namespace

Expected<Instance, Infeasible> check(const Problem& problem) {
  for (const auto& rule : {wrong_problem, overflow}) {
    if (Reason reason = rule(problem)) {
      return Unexpected{Infeasible{{}, *std::move(reason)}};
    }
  }
  Instance instance;
  instance.tasks = static_cast<int>(problem.tasks.size());
  instance.units = static_cast<int>(problem.units.size());
  instance.objective = problem.objective;
  instance.deadline = problem.deadline;
  add_costs(problem, instance);
  add_edges(problem, instance);
  instance.order = topological_order(instance);
  if (instance.order.size() < problem.tasks.size()) {
    return Unexpected{Infeasible{{}, "the edges form a cycle: " + cycle_of(problem, instance)}};
  }
  add_bounds(instance);
  return instance;
}

Value value_of(const Instance& instance, std::int64_t makespan, double energy) {
  const auto cycles = static_cast<double>(makespan);
  if (instance.deadline && makespan > *instance.deadline) {
    return {cycles, energy, 0.0};
  }
  switch (instance.objective) {
    case Objective::makespan:
      return {0.0, cycles, energy};
    case Objective::energy:
      return {0.0, energy, cycles};
    case Objective::energy_delay_product:
      break;
  }
  return {0.0, energy * cycles, cycles};
}

Schedule schedule_of(const Instance& instance, const std::vector<int>& sequence, const std::vector<int>& unit) {
  Schedule schedule;
  schedule.placements.resize(static_cast<std::size_t>(instance.tasks));
  std::vector<std::int64_t> free(static_cast<std::size_t>(instance.units), 0);
  for (const int task : sequence) {
    const auto t = static_cast<std::size_t>(task);
    std::int64_t& unit_free = free[static_cast<std::size_t>(unit[t])];
    Placement& placement = schedule.placements[t];
    placement.unit = unit[t];
    placement.start = std::max(unit_free, instance.release[t]);
    for (const int previous : instance.before[t]) {
      placement.start = std::max(placement.start, schedule.placements[static_cast<std::size_t>(previous)].end);
    }
    placement.end = placement.start + instance.cycles[instance.at(task, unit[t])];
    unit_free = placement.end;
    schedule.makespan = std::max(schedule.makespan, placement.end);
  }
  for (int task = 0; task < instance.tasks; ++task) {
    schedule.energy += instance.energy[instance.at(task, unit[static_cast<std::size_t>(task)])];
  }
  schedule.in_time = !instance.deadline || schedule.makespan <= *instance.deadline;
  return schedule;
}

}  // namespace cosearch::schedule
