// The assignment and schedule of layers: schedules per second, and the heuristic's gap to the exact optimum.
// `schedule_bench [effort]`, CPU time of one thread.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "hwmodels/asic/schedule/exact.hpp"
#include "hwmodels/asic/schedule/heuristic.hpp"
#include "tests/hwmodels/asic/schedule/random_problem.hpp"

namespace cosearch::schedule {
namespace {

/// Of this thread: other programs on the machine do not count.
double cpu_microseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e6 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_nsec);
}

struct Goal {
  std::string name;
  Objective objective;
  bool deadline;
};

const std::vector<Goal>& goals() {
  static const std::vector<Goal> kGoals{{"energy, deadline", Objective::energy, true},
                                        {"makespan", Objective::makespan, false},
                                        {"energy x delay", Objective::energy_delay_product, false},
                                        {"energy x delay, deadline", Objective::energy_delay_product, true}};
  return kGoals;
}

/// What the judge compares: the objective if both are in time, the makespan if neither is.
double relative_gap(const Instance& instance, const Schedule& found, const Schedule& optimal) {
  const Value a = value_of(instance, found.makespan, found.energy);
  const Value b = value_of(instance, optimal.makespan, optimal.energy);
  return optimal.in_time ? a.objective / b.objective - 1.0 : a.late_makespan / b.late_makespan - 1.0;
}

void gaps(const std::string& title, const Goal& goal, int cases, std::int64_t node_limit, std::int64_t effort,
          auto size_of) {
  double sum = 0.0;
  double worst = 0.0;
  double heuristic_us = 0.0;
  double slowest_us = 0.0;
  double exact_us = 0.0;
  int judged = 0;
  int late = 0;
  int missed = 0;
  for (int i = 0; i < cases; ++i) {
    const auto seed = static_cast<std::uint64_t>(i);
    const Instance instance = check(random_problem(size_of(seed), goal.objective, goal.deadline, seed)).value();
    double start = cpu_microseconds();
    const Schedule found = heuristic_schedule(instance, effort);
    const double spent = cpu_microseconds() - start;
    heuristic_us += spent;
    slowest_us = std::max(slowest_us, spent);
    start = cpu_microseconds();
    const ExactSchedule optimal = exact_schedule(instance, node_limit);
    exact_us += cpu_microseconds() - start;
    if (optimal.schedule.in_time && !found.in_time) {
      ++missed;
    } else if (optimal.proved) {
      const double gap = relative_gap(instance, found, optimal.schedule);
      sum += gap;
      worst = std::max(worst, gap);
      ++judged;
      late += optimal.schedule.in_time ? 0 : 1;
    }
  }
  fmt::print("| {} | {} | {} of {} | {} | {} | {:.3f} % | {:.2f} % | {:.1f} | {:.0f} | {:.0f} | {:.0f} |\n", title,
             goal.name, judged, cases, late, missed, 100.0 * sum / std::max(judged, 1), 100.0 * worst,
             heuristic_us / cases, slowest_us, 1e6 * cases / heuristic_us, exact_us / cases);
}

}  // namespace
}  // namespace cosearch::schedule

int main(int argc, char** argv) {
  using namespace cosearch::schedule;
  const std::int64_t effort = argc > 1 ? std::stoll(argv[1]) : kDefaultEffort;
  fmt::print(
      "| problems | goal | proved optima | none in time | deadlines missed | mean gap | worst gap | heuristic us | "
      "slowest us | per second | exact us |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Goal& goal : goals()) {
    gaps("6-10 tasks, 2-3 units", goal, 200, 1'000'000, effort, random_small_size);
  }
  for (const int units : {2, 3}) {
    for (const Goal& goal : goals()) {
      gaps(fmt::format("2 networks of 16 layers, {} units", units), goal, 20, 100'000, effort, [&](std::uint64_t) {
        return RandomSize{32, 2, units, 0.1};
      });
    }
  }
}
