#include <benchmark/benchmark.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "search/algorithm.hpp"
#include "search/pareto.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

ParamSet zdt1_space() {
  std::vector<Param> params;
  for (int i = 0; i < 30; ++i) {
    params.push_back({"x" + std::to_string(i), RealRange{0.0, 1.0, false}, {}});
  }
  return ParamSet{params};
}

std::vector<double> zdt1(const std::vector<double>& x) {
  double sum = 0.0;
  for (std::size_t i = 1; i < x.size(); ++i) {
    sum += x[i];
  }
  const double g = 1.0 + 9.0 * sum / 29.0;
  return {x[0], g * (1.0 - std::sqrt(x[0] / g))};
}

/// NSGA-II on ZDT1, population 100, 251 generations: the engine's own time, as the objectives cost next to nothing.
void nsga2_zdt1(benchmark::State& state) {
  constexpr int kGenerations = 251;
  const ParamSet space = zdt1_space();
  std::uint64_t seed = 0;
  for (auto _ : state) {
    const auto algorithm =
        make_algorithm("nsga2", {{"population", 100}}, {.params = &space, .objectives = 2, .seed = seed++});
    TrialId id = 0;
    for (int generation = 0; generation < kGenerations; ++generation) {
      std::vector<Trial> trials;
      for (Proposal& proposal : algorithm->ask(100)) {
        auto objectives = zdt1(proposal.genome.genes);
        trials.push_back({id++, std::move(proposal), TrialState::complete, std::move(objectives), 0.0});
      }
      algorithm->tell(trials);
    }
    benchmark::DoNotOptimize(id);
  }
  state.SetItemsProcessed(state.iterations() * kGenerations * 100);
}
BENCHMARK(nsga2_zdt1)->Unit(benchmark::kMillisecond);

/// Mutually non-dominated: evenly distributed on the positive part of the unit sphere, seen from (1.1, ...).
std::vector<Point> sphere(std::size_t count, std::size_t objectives) {
  std::vector<Point> points;
  for (std::uint64_t i = 0; i < count; ++i) {
    RngStream rng{3, Purpose::test, i};
    Point point(objectives);
    double square = 0.0;
    for (double& coordinate : point) {
      coordinate = std::abs(rng.normal());
      square += coordinate * coordinate;
    }
    for (double& coordinate : point) {
      coordinate /= std::sqrt(square);
    }
    points.push_back(point);
  }
  return points;
}

void hypervolume_sphere(benchmark::State& state) {
  const auto objectives = static_cast<std::size_t>(state.range(0));
  const auto points = sphere(static_cast<std::size_t>(state.range(1)), objectives);
  const Point reference(objectives, 1.1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(hypervolume(points, reference));
  }
}
BENCHMARK(hypervolume_sphere)
    ->ArgNames({"objectives", "points"})
    ->ArgsProduct({{2, 3, 4, 5}, {100, 200, 500}})
    ->Unit(benchmark::kMicrosecond);

void sort_random(benchmark::State& state) {
  const auto objectives = static_cast<std::size_t>(state.range(0));
  std::vector<Point> points;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(state.range(1)); ++i) {
    RngStream rng{4, Purpose::test, i};
    Point point(objectives);
    for (double& coordinate : point) {
      coordinate = rng.uniform();
    }
    points.push_back(point);
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(non_dominated_sort(points));
  }
}
BENCHMARK(sort_random)
    ->ArgNames({"objectives", "points"})
    ->ArgsProduct({{2, 3, 5}, {200, 10'000}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace cosearch
