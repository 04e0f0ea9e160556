#include "hwmodels/asic/tiling.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cosearch::asic {
namespace {

TEST(StepChoices, AreTheSmallestStepsForEveryNumberOfParts) {
  for (std::int64_t rest = 1; rest <= 400; ++rest) {
    std::vector<std::int64_t> every;
    std::vector<std::int64_t> divisors;
    for (std::int64_t steps = 1; steps <= rest; ++steps) {
      const std::int64_t parts = (rest + steps - 1) / steps;
      if (steps == 1 || (rest + steps - 2) / (steps - 1) != parts) {
        every.push_back(steps);
      }
      if (rest % steps == 0) {
        divisors.push_back(steps);
      }
    }
    EXPECT_EQ(step_choices(rest, false), every) << rest;
    EXPECT_EQ(step_choices(rest, true), divisors) << rest;
  }
}

}  // namespace
}  // namespace cosearch::asic
