#pragma once

#include <cstdint>

#include "hwmodels/asic/schedule/problem.hpp"

namespace cosearch::schedule {

struct ExactSchedule {
  Schedule schedule;
  bool proved = false;     ///< false: the node limit was reached, and a better schedule may exist
  std::int64_t nodes = 0;  ///< partial schedules that were kept
};

/// The best schedule by branch and bound, the judge of the heuristic (from which it starts) on small problems. A node
/// is a partial schedule; it branches over the next task and its unit. Nodes with the same tasks are compared: one that
/// frees no unit and ends no task with waiting successors later, at no more energy, makes the other superfluous.
/// Bounds: the longest remaining chain, the units' load, and for every task the least energy among the units on which
/// it can still meet the deadline. If no schedule meets the deadline, the makespan is minimal. Exact in what `Value`
/// compares first; of equally good schedules it returns any, always the same. Problems of more than 64 tasks get the
/// heuristic's schedule, not proved.
[[nodiscard]] ExactSchedule exact_schedule(const Instance& instance, std::int64_t node_limit = 1'000'000);

}  // namespace cosearch::schedule
