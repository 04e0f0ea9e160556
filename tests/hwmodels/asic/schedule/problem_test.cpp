#include "hwmodels/asic/schedule/problem.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace cosearch::schedule {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Two networks, a -> b and c, on two units; the second unit cannot run b.
Problem sound() {
  Problem problem;
  problem.networks = {"first", "second"};
  problem.units = {"dla", "shi"};
  problem.tasks.push_back({"a", 0, {Execution{10, 4.0}, Execution{20, 1.0}}, 0});
  problem.tasks.push_back({"b", 0, {Execution{30, 5.0}, Unexpected{std::string("no room")}}, 0});
  problem.tasks.push_back({"c", 1, {Execution{5, 1.0}, Execution{8, 0.5}}, 7});
  problem.edges = {{0, 1}};
  return problem;
}

std::string reason(const Problem& problem) {
  const auto checked = check(problem);
  return checked ? "" : checked.error().reason;
}

TEST(Problem, ASoundProblemIsAcceptedWithItsBounds) {
  const Instance instance = check(sound()).value();
  EXPECT_THAT(instance.order, ElementsAre(0, 1, 2));
  EXPECT_THAT(instance.fastest, ElementsAre(10, 30, 5));
  EXPECT_THAT(instance.fastest_after, ElementsAre(30, 0, 0));
  EXPECT_THAT(instance.least_energy, ElementsAre(1.0, 5.0, 0.5));
  EXPECT_EQ(instance.least_makespan, 40);  // a then b on the fastest unit; 45 cycles of work on two units are 23
  EXPECT_FALSE(instance.runs(1, 1));
}

TEST(Problem, AScheduleFollowsFromSequenceAndUnits) {
  const Instance instance = check(sound()).value();
  const Schedule schedule = schedule_of(instance, {2, 0, 1}, {0, 0, 0});
  EXPECT_EQ(schedule.placements[2].start, 7) << "released";
  EXPECT_EQ(schedule.placements[0].start, 12) << "the unit is taken";
  EXPECT_EQ(schedule.placements[1].start, 22) << "the predecessor has ended";
  EXPECT_EQ(schedule.makespan, 52);
  EXPECT_DOUBLE_EQ(schedule.energy, 10.0);
}

TEST(Problem, ValuesPutLateSchedulesLast) {
  Problem problem = sound();
  problem.deadline = 50;
  problem.objective = Objective::energy;
  const Instance instance = check(problem).value();
  EXPECT_LT(value_of(instance, 50, 9.0), value_of(instance, 51, 1.0));
  EXPECT_LT(value_of(instance, 50, 8.0), value_of(instance, 40, 9.0));
  EXPECT_LT(value_of(instance, 40, 9.0), value_of(instance, 50, 9.0));
  EXPECT_LT(value_of(instance, 60, 9.0), value_of(instance, 61, 1.0));
}

TEST(Problem, ACycleIsNamedByItsTasks) {
  Problem problem = sound();
  problem.edges = {{0, 1}, {1, 2}, {2, 1}};
  EXPECT_EQ(reason(problem), "the edges form a cycle: b -> c -> b");
  problem.edges = {{2, 2}};
  EXPECT_EQ(reason(problem), "the edges form a cycle: c -> c");
}

TEST(Problem, ATaskWithoutUnitSaysWhyForEachUnit) {
  Problem problem = sound();
  problem.tasks[1].on[0] = Unexpected{std::string("no dataflow for it")};
  EXPECT_EQ(reason(problem), "no unit can run task \"b\": dla: no dataflow for it; shi: no room");
}

TEST(Problem, WrongNumbersAreRefused) {
  const auto with = [](auto change) {
    Problem problem = sound();
    change(problem);
    return reason(problem);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(with([](Problem& p) { p.units.clear(); }), HasSubstr("no unit"));
  EXPECT_THAT(with([](Problem& p) { p.units.pop_back(); }), HasSubstr("costs on 2 units, there are 1"));
  EXPECT_THAT(with([](Problem& p) { p.tasks[0].on[0] = Execution{-1, 1.0}; }), HasSubstr("-1 cycles on dla"));
  EXPECT_THAT(with([](Problem& p) { p.tasks[0].on[1] = Execution{1, -2.0}; }), HasSubstr("energy of -2 on shi"));
  EXPECT_THAT(with([&](Problem& p) { p.tasks[0].on[1] = Execution{1, nan}; }), HasSubstr("energy of nan"));
  EXPECT_THAT(with([](Problem& p) { p.tasks[2].release = -1; }), HasSubstr("released in cycle -1"));
  EXPECT_THAT(with([](Problem& p) { p.deadline = -1; }), HasSubstr("deadline is -1"));
  EXPECT_THAT(with([](Problem& p) { p.edges = {{0, 3}}; }), HasSubstr("from task 0 to task 3, there are 3"));
  EXPECT_THAT(with([](Problem& p) { p.edges = {{-1, 0}}; }), HasSubstr("from task -1"));
  EXPECT_THAT(with([](Problem& p) { p.tasks[0].network = 2; }), HasSubstr("network 2, there are 2"));
}

TEST(Problem, OverflowIsRefusedNotWrapped) {
  Problem problem = sound();
  problem.tasks[0].on[0] = Execution{std::numeric_limits<std::int64_t>::max(), 1.0};
  EXPECT_THAT(reason(problem), HasSubstr("more than 9,007,199,254,740,992 cycles at task \"a\""));
  problem = sound();
  problem.tasks[0].release = kLargestCycles - 54;  // 20 + 30 + 8 cycles may follow
  EXPECT_THAT(reason(problem), HasSubstr("at task \"c\""));
  problem.tasks[0].release = kLargestCycles - 58;
  EXPECT_EQ(reason(problem), "");
  problem.tasks[0].release = kLargestCycles + 1;
  EXPECT_THAT(reason(problem), HasSubstr("more than 9,007,199,254,740,992 cycles"));
  problem = sound();
  problem.tasks[0].on[0] = Execution{1, 1e307};
  EXPECT_THAT(reason(problem), HasSubstr("range of a double"));
}

}  // namespace
}  // namespace cosearch::schedule
