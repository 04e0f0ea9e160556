#include "hwmodels/asic/schedule/exact.hpp"

#include <gtest/gtest.h>

#include "tests/hwmodels/asic/schedule/judge.hpp"
#include "tests/hwmodels/asic/schedule/random_problem.hpp"

namespace cosearch::schedule {
namespace {

void agree_with_enumeration(Objective objective, bool deadline) {
  int late = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    RandomSize size = random_small_size(seed);
    size.tasks = 3 + static_cast<int>(seed % 3);
    Problem problem = random_problem(size, objective, deadline, seed);
    if (deadline && seed % 4 == 0) {
      problem.deadline = *problem.deadline * 4 / 5;  // often out of reach
    }
    const ExactSchedule exact = exact_schedule(check(problem).value());
    const Optimum optimum = enumerated_optimum(problem);
    ASSERT_TRUE(exact.proved) << "seed " << seed;
    ASSERT_EQ(illegality(problem, exact.schedule), "") << "seed " << seed;
    ASSERT_EQ(exact.schedule.in_time, optimum.in_time) << "seed " << seed;
    const auto makespan = static_cast<double>(exact.schedule.makespan);
    if (!optimum.in_time) {
      ++late;
      EXPECT_EQ(makespan, optimum.makespan) << "seed " << seed;
      continue;
    }
    const double objective_value = objective == Objective::makespan ? makespan
                                   : objective == Objective::energy ? exact.schedule.energy
                                                                    : exact.schedule.energy * makespan;
    EXPECT_NEAR(objective_value, optimum.objective, 1e-12 * optimum.objective) << "seed " << seed;
  }
  EXPECT_EQ(late > 0, deadline) << "both outcomes should occur";
}

TEST(ExactSchedule, LeastEnergyWithinADeadlineIsThatOfAllSchedules) { agree_with_enumeration(Objective::energy, true); }
TEST(ExactSchedule, LeastMakespanIsThatOfAllSchedules) { agree_with_enumeration(Objective::makespan, false); }
TEST(ExactSchedule, LeastEnergyDelayProductIsThatOfAllSchedules) {
  agree_with_enumeration(Objective::energy_delay_product, false);
}
TEST(ExactSchedule, LeastEnergyDelayProductWithinADeadlineIsThatOfAllSchedules) {
  agree_with_enumeration(Objective::energy_delay_product, true);
}

TEST(ExactSchedule, ReachingTheNodeLimitIsSaid) {
  const Problem problem = random_problem({12, 2, 3, 0.0}, Objective::makespan, false, 1);
  const Instance instance = check(problem).value();
  const ExactSchedule limited = exact_schedule(instance, 10);
  EXPECT_FALSE(limited.proved);
  EXPECT_LE(limited.nodes, 10);
  EXPECT_EQ(illegality(problem, limited.schedule), "");
  EXPECT_TRUE(exact_schedule(instance).proved);
}

TEST(ExactSchedule, ProblemsBeyondItsSizeAreScheduledButNotProved) {
  const Problem problem = random_problem({65, 2, 2, 0.1}, Objective::energy, true, 1);
  const ExactSchedule exact = exact_schedule(check(problem).value());
  EXPECT_FALSE(exact.proved);
  EXPECT_EQ(illegality(problem, exact.schedule), "");
}

}  // namespace
}  // namespace cosearch::schedule
