#include "tests/hwmodels/asic/schedule/judge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace cosearch::schedule {
namespace {

class Enumeration {
 public:
  explicit Enumeration(const Problem& problem)
      : problem_(problem), placements_(problem.tasks.size()), placed_(problem.tasks.size(), false) {
    best_.makespan = std::numeric_limits<double>::infinity();
    best_.objective = std::numeric_limits<double>::infinity();
  }

  Optimum run() {
    extend(0);
    return best_;
  }

 private:
  void extend(std::size_t done) {
    if (done == placed_.size()) {
      judge();
      return;
    }
    for (std::size_t task = 0; task < placed_.size(); ++task) {
      if (placed_[task] || waits(task)) {
        continue;
      }
      placed_[task] = true;
      for (std::size_t unit = 0; unit < problem_.units.size(); ++unit) {
        if (problem_.tasks[task].on[unit]) {
          place(task, static_cast<int>(unit));
          extend(done + 1);
        }
      }
      placed_[task] = false;
    }
  }

  bool waits(std::size_t task) const {
    return std::any_of(problem_.edges.begin(), problem_.edges.end(), [&](const Edge& edge) {
      return edge.after == static_cast<int>(task) && !placed_[static_cast<std::size_t>(edge.before)];
    });
  }

  void place(std::size_t task, int unit) {
    std::int64_t start = problem_.tasks[task].release;
    for (const Edge& edge : problem_.edges) {
      if (edge.after == static_cast<int>(task)) {
        start = std::max(start, placements_[static_cast<std::size_t>(edge.before)].end);
      }
    }
    for (std::size_t other = 0; other < placed_.size(); ++other) {
      if (placed_[other] && other != task && placements_[other].unit == unit) {
        start = std::max(start, placements_[other].end);
      }
    }
    placements_[task] = {unit, start, start + problem_.tasks[task].on[static_cast<std::size_t>(unit)]->cycles};
  }

  void judge() {
    double makespan = 0.0;
    double energy = 0.0;
    for (std::size_t task = 0; task < placements_.size(); ++task) {
      makespan = std::max(makespan, static_cast<double>(placements_[task].end));
      energy += problem_.tasks[task].on[static_cast<std::size_t>(placements_[task].unit)]->energy;
    }
    best_.makespan = std::min(best_.makespan, makespan);
    if (problem_.deadline && makespan > static_cast<double>(*problem_.deadline)) {
      return;
    }
    best_.in_time = true;
    const double objective = problem_.objective == Objective::makespan ? makespan
                             : problem_.objective == Objective::energy ? energy
                                                                       : energy * makespan;
    best_.objective = std::min(best_.objective, objective);
  }

  const Problem& problem_;
  std::vector<Placement> placements_;
  std::vector<bool> placed_;
  Optimum best_;
};

std::string wrong_totals(const Problem& problem, const Schedule& schedule) {
  std::int64_t makespan = 0;
  double energy = 0.0;
  for (std::size_t task = 0; task < schedule.placements.size(); ++task) {
    makespan = std::max(makespan, schedule.placements[task].end);
    energy += problem.tasks[task].on[static_cast<std::size_t>(schedule.placements[task].unit)]->energy;
  }
  if (makespan != schedule.makespan) {
    return "the makespan is not the latest end";
  }
  if (std::abs(energy - schedule.energy) > 1e-12 * energy) {
    return "the energy is not that of the tasks";
  }
  const bool in_time = !problem.deadline || makespan <= *problem.deadline;
  return in_time == schedule.in_time ? "" : "it says wrongly whether it meets the deadline";
}

}  // namespace

std::string illegality(const Problem& problem, const Schedule& schedule) {
  if (schedule.placements.size() != problem.tasks.size()) {
    return "not every task has a placement";
  }
  for (std::size_t index = 0; index < problem.tasks.size(); ++index) {
    const Task& task = problem.tasks[index];
    const Placement& placement = schedule.placements[index];
    if (placement.unit < 0 || placement.unit >= static_cast<int>(problem.units.size()) ||
        !task.on[static_cast<std::size_t>(placement.unit)]) {
      return task.name + " is on a unit that cannot run it";
    }
    if (placement.end - placement.start != task.on[static_cast<std::size_t>(placement.unit)]->cycles) {
      return task.name + " does not take its time";
    }
    if (placement.start < task.release) {
      return task.name + " starts before its release";
    }
    for (std::size_t other = 0; other < index; ++other) {
      const Placement& second = schedule.placements[other];
      if (second.unit == placement.unit && second.start < placement.end && placement.start < second.end) {
        return task.name + " overlaps " + problem.tasks[other].name;
      }
    }
  }
  for (const Edge& edge : problem.edges) {
    if (schedule.placements[static_cast<std::size_t>(edge.after)].start <
        schedule.placements[static_cast<std::size_t>(edge.before)].end) {
      return problem.tasks[static_cast<std::size_t>(edge.after)].name + " starts before a predecessor ends";
    }
  }
  return wrong_totals(problem, schedule);
}

Optimum enumerated_optimum(const Problem& problem) { return Enumeration(problem).run(); }

}  // namespace cosearch::schedule
