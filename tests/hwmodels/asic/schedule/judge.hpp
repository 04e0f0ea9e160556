#pragma once

#include <string>

#include "hwmodels/asic/schedule/problem.hpp"

namespace cosearch::schedule {

/// What is wrong with a schedule of a sound problem: a task on a unit that cannot run it, with another duration than it
/// has there, before its release or its predecessors' ends, two tasks on a unit at once, or totals that are not those
/// of the tasks. Empty if it is legal. Written from the definitions; calls nothing of the library.
[[nodiscard]] std::string illegality(const Problem& problem, const Schedule& schedule);

/// The best that any schedule reaches.
struct Optimum {
  bool in_time = false;
  double makespan = 0.0;   ///< the least of all schedules
  double objective = 0.0;  ///< the least of the schedules in time, if there are any
};

/// Tries every order of the tasks with every assignment: at most 6 tasks. Calls nothing of the library.
[[nodiscard]] Optimum enumerated_optimum(const Problem& problem);

}  // namespace cosearch::schedule
