#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"

/// The heterogeneous assignment problem (HAP; Shao, Zhuge, Xue, Sha: "Efficient assignment and scheduling for
/// heterogeneous DSP systems", IEEE TPDS 16(6), 2005) with units that run one task at a time, as co-search of several
/// networks with several sub-accelerators needs it. Knows no cost model: durations and energies come from the caller.
namespace cosearch::schedule {

/// What a task takes on a unit. Energy in any unit, the same for the whole problem.
struct Execution {
  std::int64_t cycles = 0;
  double energy = 0.0;
};

/// A layer of a network.
struct Task {
  std::string name;
  int network = 0;                                   ///< index into `Problem::networks`
  std::vector<Expected<Execution, std::string>> on;  ///< per unit; the error says why the unit cannot run the task
  std::int64_t release = 0;                          ///< the first cycle in which it may run
};

/// `after` starts when `before` has ended, or later. Indices of tasks.
struct Edge {
  int before = 0;
  int after = 0;
};

enum class Objective { makespan, energy, energy_delay_product };

/// Layers of networks (any number of components), to run on units (sub-accelerators) that run one task at a time and do
/// not interrupt it. Wanted: the least objective within the deadline; where no schedule meets the deadline, the least
/// makespan.
struct Problem {
  std::vector<std::string> networks;
  std::vector<std::string> units;
  std::vector<Task> tasks;
  std::vector<Edge> edges;
  Objective objective = Objective::makespan;
  std::optional<std::int64_t> deadline;  ///< largest allowed makespan
};

/// A problem that was found sound, in the form that the schedulers read. Only `check` makes one.
struct Instance {
  /// In `cycles`, where the unit cannot run the task.
  static constexpr std::int64_t kCannotRun = -1;

  int tasks = 0;
  int units = 0;
  std::vector<std::int64_t> cycles;  ///< of task t on unit u at [t * units + u]
  std::vector<double> energy;        ///< likewise; 0 where the unit cannot run the task
  std::vector<std::int64_t> release;
  std::vector<std::vector<int>> before;  ///< direct predecessors, ascending
  std::vector<std::vector<int>> after;   ///< direct successors, ascending
  std::vector<int> order;                ///< topological; of the tasks that are free the one with the least index first
  Objective objective = Objective::makespan;
  std::optional<std::int64_t> deadline;

  std::vector<std::int64_t> fastest;        ///< cycles of a task on its fastest unit
  std::vector<std::int64_t> fastest_after;  ///< longest chain of tasks after this one, each on its fastest unit
  std::vector<double> least_energy;         ///< of a task over its units
  std::int64_t least_makespan = 0;          ///< a lower bound: release times and longest chains, and the units' load

  [[nodiscard]] std::size_t at(int task, int unit) const {
    return static_cast<std::size_t>(task) * static_cast<std::size_t>(units) + static_cast<std::size_t>(unit);
  }
  [[nodiscard]] bool runs(int task, int unit) const { return cycles[at(task, unit)] != kCannotRun; }
};

/// Latest end of any schedule that a sound problem may have: up to here doubles hold every integer, and nothing
/// overflows.
inline constexpr std::int64_t kLargestCycles = std::int64_t{1} << 53;

/// The instance, or the first thing that is wrong: no units, rows of the wrong length, indices out of range, negative
/// or non-finite values, a task that no unit can run (with each unit's reason), a cycle in the edges (with its tasks),
/// or sums that exceed `kLargestCycles` or a double.
[[nodiscard]] Expected<Instance, Infeasible> check(const Problem& problem);

/// Where and when a task runs.
struct Placement {
  int unit = 0;
  std::int64_t start = 0;
  std::int64_t end = 0;
};

struct Schedule {
  std::vector<Placement> placements;  ///< per task
  std::int64_t makespan = 0;          ///< latest end
  double energy = 0.0;                ///< summed in the order of the tasks
  bool in_time = true;                ///< meets the deadline, or there is none
};

/// How good a schedule is; smaller is better, member by member.
struct Value {
  double late_makespan = 0.0;  ///< the makespan if it misses the deadline, else 0
  double objective = 0.0;      ///< what `Instance::objective` says; the energy if late
  double rest = 0.0;           ///< decides between equals: makespan, or the energy where the makespan is the objective

  friend bool operator<(const Value& a, const Value& b) {
    if (a.late_makespan != b.late_makespan) {
      return a.late_makespan < b.late_makespan;
    }
    return a.objective != b.objective ? a.objective < b.objective : a.rest < b.rest;
  }
};
[[nodiscard]] Value value_of(const Instance& instance, std::int64_t makespan, double energy);

/// Each task of `sequence` (a topological order of all tasks) on its unit, as early as it can run after those before it
/// in the sequence.
[[nodiscard]] Schedule schedule_of(const Instance& instance, const std::vector<int>& sequence,
                                   const std::vector<int>& unit);

}  // namespace cosearch::schedule
