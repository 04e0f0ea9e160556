#include "hwmodels/mcu/arena_picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cosearch::mcu {
namespace {

using program::ArenaPlan;
using program::BufferRole;
using program::KernelCall;
using program::Program;

/// input -> first (in 100 bytes, scratch 20) -> second, in place of the first's output.
Program two_calls() {
  Program program;
  program.name = "two";
  program.buffers = {{"in", 40, BufferRole::input}, {"a<b", 100}, {"work", 20, BufferRole::scratch}, {"out", 50}};
  program.buffers[3].alias_of = 1;
  program.inputs = {0};
  program.outputs = {3};
  KernelCall first;
  first.name = "first";
  first.inputs = {0};
  first.output = 1;
  first.scratch = {2};
  KernelCall second;
  second.name = "second";
  second.inputs = {1};
  second.output = 3;
  program.calls = {first, second};
  return program;
}

TEST(ArenaPicture, TellsEachBufferThePeakAndTheCalls) {
  const Program program = two_calls();
  const ArenaPlan plan = program::plan_arena(program);
  const std::string picture = arena_picture(program, plan);
  EXPECT_THAT(picture, ::testing::HasSubstr("two: arena of 160 bytes; most alive, 160 bytes, during first"));
  const auto at = [&plan](std::size_t buffer) { return std::to_string(plan.offsets[buffer]); };
  for (const std::string& tooltip : {"<title>in: 40 bytes at " + at(0) + ", calls 0 to 0</title>",
                                     "<title>a&lt;b: 100 bytes at " + at(1) + ", calls 0 to 1</title>",
                                     "<title>work: 20 bytes at " + at(2) + ", calls 0 to 0</title>",
                                     "<title>out: 50 bytes at " + at(3) + ", calls 1 to 1</title>",
                                     std::string(">first 0</text>"), std::string(">second 1</text>")}) {
    EXPECT_THAT(picture, ::testing::HasSubstr(tooltip));
  }
}

TEST(ArenaPicture, MarksTheBoundOnlyWhereThePlanIsLarger) {
  const Program program = two_calls();
  ArenaPlan plan = program::plan_arena(program);
  const auto dashes = [&] {
    const std::string picture = arena_picture(program, plan);
    std::size_t count = 0;
    for (std::size_t at = picture.find("dasharray"); at != std::string::npos; at = picture.find("dasharray", at + 1)) {
      ++count;
    }
    return count;
  };
  EXPECT_EQ(dashes(), 2U);
  plan.bytes += 40;
  EXPECT_EQ(dashes(), 3U);
}

TEST(ArenaPicture, ProgramWithoutCallsHasOne) {
  Program program;
  program.name = "nothing";
  program.buffers = {{"in", 8, BufferRole::input}};
  program.inputs = {0};
  EXPECT_THAT(arena_picture(program, program::plan_arena(program)), ::testing::HasSubstr("during no call"));
}

}  // namespace
}  // namespace cosearch::mcu
