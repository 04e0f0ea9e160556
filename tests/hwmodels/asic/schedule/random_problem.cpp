#include "tests/hwmodels/asic/schedule/random_problem.hpp"

#include <algorithm>
#include <string>

#include "spaces/base/rng.hpp"

namespace cosearch::schedule {
namespace {

constexpr std::uint64_t kSeed = 2005;

Task random_task(const RandomSize& size, int index, RngStream& rng) {
  Task task;
  task.network = index * size.networks / size.tasks;
  task.name = "layer" + std::to_string(index);
  const double work = 50.0 + 950.0 * rng.uniform() * rng.uniform();
  const auto sure = static_cast<int>(rng.below(static_cast<std::uint64_t>(size.units)));
  for (int unit = 0; unit < size.units; ++unit) {
    const double speed = 0.5 + 2.5 * rng.uniform();
    const double power = (0.5 + rng.uniform()) * (rng.below(2) == 0 ? speed : 1.0);
    if (unit != sure && rng.uniform() < size.refusal) {
      task.on.emplace_back(Unexpected{std::string("its buffer is too small")});
      continue;
    }
    task.on.emplace_back(Execution{1 + static_cast<std::int64_t>(work / speed), work / speed * power});
  }
  if (rng.below(8) == 0) {
    task.release = static_cast<std::int64_t>(rng.below(500));
  }
  return task;
}

void add_random_edges(Problem& problem, RngStream& rng) {
  const int tasks = static_cast<int>(problem.tasks.size());
  const bool chains = rng.below(3) != 0;
  for (int after = 1; after < tasks; ++after) {
    for (int before = 0; before < after; ++before) {
      const auto network = [&](int task) { return problem.tasks[static_cast<std::size_t>(task)].network; };
      const bool neighbours = before + 1 == after;
      const double probability = chains ? (neighbours ? 1.0 : 0.05) : 0.25;
      if (network(before) == network(after) && rng.uniform() < probability) {
        problem.edges.push_back({before, after});
      }
    }
  }
}

}  // namespace

Problem random_problem(const RandomSize& size, Objective objective, bool deadline, std::uint64_t seed) {
  RngStream rng(kSeed, Purpose::test, seed);
  Problem problem;
  problem.objective = objective;
  for (int network = 0; network < size.networks; ++network) {
    problem.networks.push_back("network" + std::to_string(network));
  }
  for (int unit = 0; unit < size.units; ++unit) {
    problem.units.push_back("unit" + std::to_string(unit));
  }
  for (int task = 0; task < size.tasks; ++task) {
    problem.tasks.push_back(random_task(size, task, rng));
  }
  add_random_edges(problem, rng);
  if (deadline) {
    const double stretch = 1.0 + 0.8 * rng.uniform();
    const auto least = static_cast<double>(check(problem).value().least_makespan);
    problem.deadline = static_cast<std::int64_t>(stretch * least);
  }
  return problem;
}

RandomSize random_small_size(std::uint64_t seed) {
  RngStream rng(kSeed + 1, Purpose::test, seed);
  RandomSize size;
  size.tasks = 6 + static_cast<int>(rng.below(5));
  size.networks = 1 + static_cast<int>(rng.below(3));
  size.units = 2 + static_cast<int>(rng.below(2));
  return size;
}

}  // namespace cosearch::schedule
