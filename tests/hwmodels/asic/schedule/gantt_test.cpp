#include "hwmodels/asic/schedule/gantt.hpp"

#include <gmock/gmock.h>

namespace cosearch::schedule {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t place = text.find(part); place != std::string::npos; place = text.find(part, place + 1)) {
    ++found;
  }
  return found;
}

/// a (0 to 100) and b (100 to 400) of "first" on dla, c <d> (0 to 200) of "second" on shi.
Problem two_networks() {
  Problem problem;
  problem.networks = {"first", "second"};
  problem.units = {"dla", "shi"};
  problem.tasks.push_back({"a", 0, {Execution{100, 1.0}, Execution{100, 1.0}}, 0});
  problem.tasks.push_back({"b", 0, {Execution{300, 2.0}, Execution{300, 2.0}}, 0});
  problem.tasks.push_back({"c <d>", 1, {Execution{200, 4.5}, Execution{200, 4.5}}, 0});
  problem.edges = {{0, 1}};
  problem.deadline = 1500;
  return problem;
}

Schedule by_hand(const Problem& problem) { return schedule_of(check(problem).value(), {0, 1, 2}, {0, 0, 1}); }

TEST(Gantt, BarsLieWhereTheTasksRun) {
  const Problem problem = two_networks();
  const std::string svg = gantt_svg(problem, by_hand(problem));
  // 900 pixels are the 1,500 cycles to the deadline; the plot begins at 150.
  EXPECT_THAT(svg, HasSubstr("a (first): 0 to 100, 100 cycles, energy 1</title><rect x=\"150.00\" y=\"56.0\" "
                             "width=\"60.00\" height=\"30\" fill=\"#56b4e9\""));
  EXPECT_THAT(svg, HasSubstr("b (first): 100 to 400, 300 cycles, energy 2</title><rect x=\"210.00\" y=\"56.0\" "
                             "width=\"180.00\" height=\"30\" fill=\"#56b4e9\""));
  EXPECT_THAT(svg, HasSubstr("c &lt;d&gt; (second): 0 to 200, 200 cycles, energy 4.5</title><rect x=\"150.00\" "
                             "y=\"102.0\" width=\"120.00\" height=\"30\" fill=\"#e69f00\""));
}

TEST(Gantt, ThePictureTellsIdleSharesDeadlineAndTotals) {
  Problem problem = two_networks();
  const std::string svg = gantt_svg(problem, by_hand(problem));
  EXPECT_THAT(svg, HasSubstr(">0.0 % idle<"));
  EXPECT_THAT(svg, HasSubstr(">50.0 % idle<"));
  EXPECT_THAT(svg, HasSubstr("<line x1=\"1050.0\""));
  EXPECT_THAT(svg, HasSubstr(">deadline 1,500<"));
  EXPECT_THAT(svg, HasSubstr(">makespan 400 cycles, energy 7.5, deadline 1,500 met, 1,100 to spare<"));
  EXPECT_EQ(count(svg, "<text"), count(svg, "</text>"));
  EXPECT_EQ(count(svg, "<g>"), count(svg, "</g>"));
  problem.deadline.reset();
  const std::string without = gantt_svg(problem, by_hand(problem));
  EXPECT_THAT(without, HasSubstr("no deadline"));
  EXPECT_THAT(without, Not(HasSubstr("stroke-dasharray")));
}

TEST(Gantt, NamesThatDoNotFitAreLeftToTheTooltip) {
  Problem problem = two_networks();
  problem.tasks[0].name = "a_name_longer_than_its_bar";
  const std::string svg = gantt_svg(problem, by_hand(problem));
  EXPECT_EQ(count(svg, "a_name_longer_than_its_bar"), 1U);
  EXPECT_EQ(count(svg, ">b<"), 1U);
}

TEST(Gantt, TheTableListsTasksByUnitAndStart) {
  Problem problem = two_networks();
  problem.deadline = 399;
  EXPECT_EQ(schedule_table(problem, by_hand(problem)),
            "unit  network  task           start            end         cycles         energy\n"
            "dla   first    a                  0            100            100              1\n"
            "dla   first    b                100            400            300              2\n"
            "shi   second   c <d>              0            200            200            4.5\n"
            "dla   busy 400 cycles, 0.0 % idle\n"
            "shi   busy 200 cycles, 50.0 % idle\n"
            "makespan 400 cycles, energy 7.5, deadline 399 missed by 1\n");
}

TEST(Gantt, AnEmptyScheduleIsDrawn) {
  Problem problem;
  problem.units = {"dla"};
  const std::string svg = gantt_svg(problem, {});
  EXPECT_THAT(svg, HasSubstr(">0.0 % idle<"));
  EXPECT_THAT(svg, HasSubstr("makespan 0 cycles"));
}

}  // namespace
}  // namespace cosearch::schedule
