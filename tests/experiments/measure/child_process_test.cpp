#include "experiments/measure/child_process.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace cosearch {
namespace {

constexpr std::chrono::seconds kLong{60};

TEST(ChildProcess, GivesWhatAProgramPrintsAndItsExitCode) {
  const ChildResult result = run_child({"sh", "-c", "pwd; echo wrong >&2; exit 3"}, "/", kLong);
  EXPECT_EQ(result.output, "/\nwrong\n");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(run_child({"no_such_program"}, "/", kLong).exit_code, 127);
}

TEST(ChildProcess, KillsWhatIsNotReadyInTimeWithAllThatItStarted) {
  const auto begin = std::chrono::steady_clock::now();
  // The pipe stays open as long as the inner program lives.
  const ChildResult result =
      run_child({"sh", "-c", "echo first; sleep 50 & sleep 50"}, "/", std::chrono::milliseconds{200});
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.output, "first\n");
  EXPECT_EQ(result.exit_code, 128 + 9);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{20});
}

TEST(ChildProcess, KnowsProgramsOfThePath) {
  EXPECT_TRUE(has_program("sh"));
  EXPECT_FALSE(has_program("no_such_program"));
}

}  // namespace
}  // namespace cosearch
