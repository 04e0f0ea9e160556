#include "hwmodels/asic/schedule/heuristic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "hwmodels/asic/schedule/exact.hpp"
#include "tests/hwmodels/asic/schedule/judge.hpp"
#include "tests/hwmodels/asic/schedule/random_problem.hpp"

namespace cosearch::schedule {
namespace {

constexpr int kCases = 200;

/// 200 random small cases against the exact optimum. Prints mean and worst gap, and how often a deadline that can be
/// met is missed.
void judge(const char* title, Objective objective, bool deadline) {
  double sum = 0.0;
  double worst = 0.0;
  int worst_seed = 0;
  int judged = 0;
  int missed = 0;
  for (int seed = 0; seed < kCases; ++seed) {
    const auto index = static_cast<std::uint64_t>(seed);
    const Problem problem = random_problem(random_small_size(index), objective, deadline, index);
    const Instance instance = check(problem).value();
    const Schedule found = heuristic_schedule(instance);
    const ExactSchedule exact = exact_schedule(instance);
    ASSERT_TRUE(exact.proved) << "seed " << seed;
    ASSERT_EQ(illegality(problem, found), "") << "seed " << seed;
    if (exact.schedule.in_time != found.in_time) {
      ++missed;
      continue;
    }
    const Value ours = value_of(instance, found.makespan, found.energy);
    const Value best = value_of(instance, exact.schedule.makespan, exact.schedule.energy);
    const double gap =
        found.in_time ? ours.objective / best.objective - 1.0 : ours.late_makespan / best.late_makespan - 1.0;
    EXPECT_GE(gap, -1e-12) << "seed " << seed << ": better than the optimum";
    if (gap > worst) {
      worst = gap;
      worst_seed = seed;
    }
    sum += gap;
    ++judged;
  }
  std::cout << title << ": mean gap " << 100.0 * sum / judged << " %, worst " << 100.0 * worst << " % (seed "
            << worst_seed << "), deadlines missed that can be met: " << missed << " of " << kCases << "\n";
  EXPECT_LE(sum / judged, 0.01);
  EXPECT_LE(missed, 1);
}

TEST(HeuristicSchedule, LeastEnergyWithinADeadlineIsNearTheOptimum) {
  judge("energy within a deadline", Objective::energy, true);
}
TEST(HeuristicSchedule, LeastMakespanIsNearTheOptimum) { judge("makespan", Objective::makespan, false); }
TEST(HeuristicSchedule, LeastEnergyDelayProductIsNearTheOptimum) {
  judge("energy-delay product", Objective::energy_delay_product, false);
}

TEST(HeuristicSchedule, TinyCasesAreNearTheEnumeratedOptimum) {
  double sum = 0.0;
  int judged = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    RandomSize size = random_small_size(seed);
    size.tasks = 5;
    const Problem problem = random_problem(size, Objective::energy, true, seed);
    const Schedule found = heuristic_schedule(check(problem).value());
    const Optimum optimum = enumerated_optimum(problem);
    ASSERT_EQ(found.in_time, optimum.in_time) << "seed " << seed;
    sum += found.in_time ? found.energy / optimum.objective - 1.0
                         : static_cast<double>(found.makespan) / optimum.makespan - 1.0;
    ++judged;
  }
  EXPECT_LE(sum / judged, 0.01);
}

TEST(HeuristicSchedule, WithoutDeadlineTheLeastEnergyIsExact) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Problem problem = random_problem({30, 2, 3, 0.1}, Objective::energy, false, seed);
    const Instance instance = check(problem).value();
    double least = 0.0;
    for (const double energy : instance.least_energy) {
      least += energy;
    }
    EXPECT_DOUBLE_EQ(heuristic_schedule(instance).energy, least) << "seed " << seed;
  }
}

TEST(HeuristicSchedule, ADeadlineOutOfReachGivesAShortScheduleThatSaysSo) {
  double sum = 0.0;
  for (std::uint64_t seed = 0; seed < kCases; ++seed) {
    Problem problem = random_problem(random_small_size(seed), Objective::makespan, false, seed);
    const ExactSchedule shortest = exact_schedule(check(problem).value());
    ASSERT_TRUE(shortest.proved);
    problem.objective = Objective::energy;
    problem.deadline = shortest.schedule.makespan - 1;
    const Schedule late = heuristic_schedule(check(problem).value());
    EXPECT_FALSE(late.in_time) << "seed " << seed;
    sum += static_cast<double>(late.makespan) / static_cast<double>(shortest.schedule.makespan) - 1.0;
  }
  EXPECT_LE(sum / kCases, 0.01);
}

TEST(HeuristicSchedule, LargeProblemsAreLegalAndTheSameEveryTime) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Problem problem = random_problem({80, 3, 3, 0.2}, Objective::energy, true, seed);
    const Instance instance = check(problem).value();
    const Schedule first = heuristic_schedule(instance);
    ASSERT_EQ(illegality(problem, first), "") << "seed " << seed;
    const Schedule second = heuristic_schedule(instance);
    for (std::size_t task = 0; task < first.placements.size(); ++task) {
      EXPECT_EQ(first.placements[task].unit, second.placements[task].unit);
      EXPECT_EQ(first.placements[task].start, second.placements[task].start);
    }
  }
}

TEST(HeuristicSchedule, MoreEffortIsNeverWorse) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Instance instance = check(random_problem({24, 2, 3, 0.1}, Objective::makespan, false, seed)).value();
    EXPECT_LE(heuristic_schedule(instance, 50'000).makespan, heuristic_schedule(instance, 1'000).makespan);
  }
}

TEST(HeuristicSchedule, TasksWithoutDurationAndWithoutCompanyAreScheduled) {
  Problem problem;
  problem.units = {"only"};
  problem.networks = {"net"};
  EXPECT_EQ(heuristic_schedule(check(problem).value()).makespan, 0);
  for (int task = 0; task < 4; ++task) {
    problem.tasks.push_back({"t" + std::to_string(task), 0, {Execution{0, 0.0}}, task == 2 ? 5 : 0});
  }
  problem.edges = {{3, 0}, {2, 1}};
  for (const Objective objective : {Objective::makespan, Objective::energy, Objective::energy_delay_product}) {
    problem.objective = objective;
    const Schedule schedule = heuristic_schedule(check(problem).value());
    EXPECT_EQ(illegality(problem, schedule), "");
    EXPECT_EQ(schedule.makespan, 5);
  }
}

}  // namespace
}  // namespace cosearch::schedule
