// What is read before anything wrote it is told by validate and by the parser with its line, without execution.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spaces/base/config_error.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::ir {
namespace {

using testing::IsEmpty;

/// Running sums of x in s[1..4]; statements may stand between them and around.
std::string recurrence(const std::string& initial, const std::string& body, const std::string& final = "") {
  return "workload w\ninput x activation fp32 [4]\ntensor s activation fp32 [5]\ntensor t activation fp32 [5]\n"
         "tensor u activation fp32 []\noutput y activation fp32 []\niteration m<4\n" +
         initial + body + final;
}
constexpr const char* kStart = "einsum start initial : s[0] = copy(0)\n";
constexpr const char* kSum = "einsum sum over m m<4 : s[m+1] = add(s[m], x[m])\n";
constexpr const char* kEnd = "einsum end final : y[] = copy(s[4])\n";

std::string refusal(const std::string& text) {
  try {
    (void)parse_workload(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "parsed";
}

TEST(WorkloadOrder, ARecurrenceWithAnInitialElementStarts) {
  EXPECT_EQ(refusal(recurrence(kStart, kSum, kEnd)), "parsed");
  EXPECT_EQ(refusal(recurrence("einsum all initial a<5 : s[a] = copy(0)\n", kSum, kEnd)), "parsed");
  EXPECT_EQ(refusal(recurrence(kStart, std::string("einsum early over m m<4 : t[m] = copy(s[m])\n") + kSum, kEnd)),
            "parsed");
  // Behind the border is padding, not an element.
  EXPECT_EQ(refusal(recurrence("", "einsum sum over m m<4 : s[m] = add(s[m-1], x[m])\n",
                               "einsum end final : y[] = copy(s[3])\n")),
            "parsed");
}

TEST(WorkloadOrder, AnIterationNeedsItsInitialElement) {
  EXPECT_EQ(refusal(recurrence("", kSum, kEnd)),
            "line 8: einsum \"sum\": reads index 0 of axis 0 of \"s\" in step 0, which nothing has written: the "
            "iteration has no initial element");
  EXPECT_EQ(refusal(recurrence("einsum start initial : s[1] = copy(0)\n", kSum, kEnd)),
            "line 9: einsum \"sum\": reads index 0 of axis 0 of \"s\" in step 0, which nothing has written: the "
            "iteration has no initial element");
  EXPECT_EQ(
      refusal(recurrence(kStart,
                         "einsum sum over m m<4 : s[m+1] = add(s[m-1], s[m])\n"
                         "einsum other over m m<4 : t[m] = copy(t[m-2])\n"
                         "einsum more over m m<4 : t[m] = copy(t[m+1])\n",
                         kEnd)),
      "line 11: einsum \"more\": reads index 1 of axis 0 of \"t\" in step 0, but einsum \"more\" writes it only in "
      "step 1");
  EXPECT_EQ(
      refusal(recurrence("", "einsum sum over m m<4 : u[] = add(u[], x[m])\n", "einsum end final : y[] = copy(u[])\n")),
      "line 8: einsum \"sum\": reads \"u\" in the first step before einsum \"sum\" writes it: the iteration has no "
      "initial element");
}

TEST(WorkloadOrder, AStateOfRowsNeedsItsInitialElementToo) {
  EXPECT_EQ(
      refusal("workload w\ninput x activation fp32 [4,2]\noutput s activation fp32 [2]\niteration m<4\n"
              "einsum sum over m m<4 p<2 : s[p] = add(s[p], x[m,p])\n"),
      "line 5: einsum \"sum\": reads \"s\" in the first step before einsum \"sum\" writes it: the iteration has no "
      "initial element");
}

TEST(WorkloadOrder, AStepCannotReadWhatOnlyALaterOneWrites) {
  EXPECT_EQ(refusal(recurrence(kStart, std::string("einsum early over m m<4 : t[m] = copy(s[m+1])\n") + kSum, kEnd)),
            "line 9: einsum \"early\": reads index 1 of axis 0 of \"s\" in step 0, but einsum \"sum\" writes it only "
            "afterwards in that step");
  EXPECT_EQ(
      refusal(recurrence(kStart, std::string(kSum) + "einsum late over m m<4 : t[m] = copy(s[m+2])\n", kEnd)),
      "line 10: einsum \"late\": reads index 2 of axis 0 of \"s\" in step 0, but einsum \"sum\" writes it only in "
      "step 1");
}

TEST(WorkloadOrder, EinsumsReadWhatEarlierOnesWrote) {
  EXPECT_EQ(
      refusal("workload w\ninput x activation fp32 [4]\ntensor t activation fp32 [4]\noutput y activation fp32 [4]\n"
              "einsum y i<4 : y[i] = copy(t[i])\neinsum t i<4 : t[i] = copy(x[i])\n"),
      "line 5: einsum \"y\": reads \"t\" before einsum \"t\", the first one to write it");
  EXPECT_EQ(refusal("workload w\noutput y activation fp32 [1]\neinsum e : y[0] += copy(1) accumulate\n"),
            "line 3: einsum \"e\": reads \"y\" before einsum \"e\", the first one to write it");
  EXPECT_EQ(refusal(recurrence(kStart, kSum, "einsum end final : y[] = copy(t[4])\neinsum t final : t[4] = copy(1)\n")),
            "line 10: einsum \"end\": reads \"t\" before einsum \"t\", the first one to write it");
}

TEST(WorkloadOrder, AnElementThatNothingWritesIsNoResult) {
  EXPECT_EQ(refusal(recurrence(kStart, "einsum sum over m m<3 : s[m+1] = add(s[m], x[m])\n", kEnd)),
            "line 9: einsum \"sum\": has no loop \"m\" of extent 4, the rank of its iteration");
  EXPECT_EQ(refusal(recurrence(kStart, "einsum sum over m m<4 : s[m] = add(s[m], x[m])\n", kEnd)),
            "line 9: einsum \"sum\": reads index 1 of axis 0 of \"s\" in step 1, but einsum \"sum\" writes it only "
            "afterwards in that step");
  EXPECT_EQ(
      refusal("workload w\ninput x activation fp32 [4]\ntensor t activation fp32 [4]\noutput y activation fp32 []\n"
              "einsum t i<3 : t[i] = copy(x[i])\neinsum y : y[] = copy(t[3])\n"),
      "line 6: einsum \"y\": reads index 3 of axis 0 of \"t\", which nothing before it writes");
}

TEST(WorkloadOrder, EveryCascadeOfTheLibraryNeedsItsInitialEinsums) {
  for (const cascade::CascadeEntry& entry : cascade::cascade_registry()) {
    Workload workload = cascade::cascade(std::string(entry.name));
    EXPECT_THAT(validate(workload), IsEmpty()) << entry.name;
    for (std::size_t e = 0; e < workload.einsums.size(); ++e) {
      if (workload.einsums[e].part == Part::initial) {
        Workload damaged = workload;
        damaged.einsums.erase(damaged.einsums.begin() + static_cast<std::ptrdiff_t>(e));
        EXPECT_FALSE(validate(damaged).empty()) << entry.name << " without " << workload.einsums[e].name;
      }
    }
  }
}

}  // namespace
}  // namespace cosearch::ir
