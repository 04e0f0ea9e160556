#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include "tests/trainer/ops/gradient_problem.hpp"
#include "tests/trainer/train/allocation_counter.hpp"
#include "tests/trainer/train/networks.hpp"
#include "trainer/train/optimizer.hpp"

namespace cosearch {
namespace {

TEST(Allocation, StepsAfterTheFirstAllocateNothing) {
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  for (const graph::NetworkGraph& network : {test_networks::cnn({8, 8, 2}, 4), test_networks::vit({8, 8, 1}, 4)}) {
    const GradientProblem problem(network, 24, 1);
    Parameters parameters(network);
    problem.load(parameters);
    TrainingExecutor executor(network, parameters, problem.batch);
    Optimizer optimizer({.clip_norm = 1.0}, parameters);
    const InputSource source = problem.source();
    const auto step = [&](std::int64_t number) {
      const double loss = executor.step(source, problem.labels, 0.1);
      optimizer.update(number, 0.01, executor.gradients(), parameters);
      return loss;
    };
    const std::int64_t before_first = count_allocations();
    step(0);
    EXPECT_GT(count_allocations(), before_first) << "the counter does not count";
    const std::int64_t before = count_allocations();
    for (std::int64_t i = 1; i < 6; ++i) {
      step(i);
    }
    EXPECT_EQ(count_allocations(), before) << network.name;
  }
}

}  // namespace
}  // namespace cosearch
