#include "search/mcuformer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "search/random.hpp"
#include "tests/search/outer_space_example.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing_support::published_outer_space;

using Measure = std::function<void(Trial&)>;

/// More rank, depth and width and smaller patches err less and need more memory.
void measure(Trial& trial) {
  const std::vector<double>& genes = trial.proposal.genome.genes;
  const double capacity = 0.3 * genes[1] / 11.0 + 0.3 * genes[2] / 11.0 + 0.5 * genes[3] / 7.0 + 0.5 * genes[4] / 15.0;
  trial.objectives = {0.5 + 0.05 * genes[0] / 4.0 - 0.2 * capacity};
  const double memory = (1.0 + genes[4]) * (8.0 - genes[0] + genes[1] + genes[2]) / 300.0;
  if (memory > 1.0) {
    trial.state = TrialState::infeasible;
    trial.violation = memory - 1.0;
  }
}

std::unique_ptr<SearchAlgorithm> make(const json& options = {}, std::uint64_t seed = 1,
                                      std::vector<Genome> initial = {}) {
  return make_mcuformer(options, {.params = &published_outer_space(),
                                  .objectives = 1,
                                  .seed = seed,
                                  .initial = std::move(initial),
                                  .learned = {true}});
}

std::vector<Trial> run(SearchAlgorithm& algorithm, std::size_t evaluations, std::size_t batch = 64,
                       const Measure& by = measure) {
  std::vector<Trial> trials;
  while (trials.size() < evaluations) {
    const std::size_t first = trials.size();
    for (const Proposal& proposal : algorithm.ask(std::min(batch, evaluations - first))) {
      Trial trial{.id = static_cast<TrialId>(trials.size()), .proposal = proposal, .objectives = {}};
      by(trial);
      trials.push_back(std::move(trial));
    }
    if (trials.size() == first) {
      break;
    }
    algorithm.tell(std::span(trials).subspan(first));
  }
  return trials;
}

std::vector<double> outer_genes(const Trial& trial) {
  const std::vector<double>& genes = trial.proposal.genome.genes;
  return {genes.begin(), genes.begin() + 3};
}

std::map<std::vector<double>, std::size_t> counts(std::span<const Trial> trials) {
  std::map<std::vector<double>, std::size_t> points;
  for (const Trial& trial : trials) {
    ++points[outer_genes(trial)];
  }
  return points;
}

double best_error(const std::vector<Trial>& trials) {
  double best = std::numeric_limits<double>::infinity();
  for (const Trial& trial : trials) {
    best = trial.violation > 0.0 ? best : std::min(best, trial.objectives.front());
  }
  return best;
}

TEST(Mcuformer, SamplesEachPointOfTheWalkAndThenStaysAtOne) {
  const auto algorithm = make({{"samples", 6}, {"starts", 4}, {"steps", 5}});
  const std::vector<Trial> start = run(*algorithm, 24);
  EXPECT_EQ(counts(start).size(), 4U);
  for (const auto& [point, count] : counts(start)) {
    EXPECT_EQ(count, 6U);
  }
  const std::vector<Trial> trials = run(*make({{"samples", 6}, {"starts", 4}, {"steps", 5}}), 250);
  ASSERT_EQ(trials.size(), 250U);
  const std::vector<double> last = outer_genes(trials.back());
  std::size_t others = 0;
  for (const auto& [point, count] : counts(trials)) {
    if (point != last) {
      EXPECT_EQ(count, 6U);
      others += count;
    }
  }
  EXPECT_GE(others, 24U);
  EXPECT_LE(others, 24U + 4U * 5U * 6U);
  // From the first proposal after the walk on nothing else is proposed.
  const auto first_of_last =
      std::find_if(trials.rbegin(), trials.rend(), [&](const Trial& trial) { return outer_genes(trial) != last; });
  EXPECT_LE(first_of_last.base() - trials.begin(), static_cast<std::ptrdiff_t>(others + 6));
}

TEST(Mcuformer, WithoutStepsTheBestStartIsTaken) {
  const auto start = run(*make({{"steps", 0}}), 40);
  std::map<std::vector<double>, std::array<double, 3>> sums;  // trials, legal ones, their errors
  for (const Trial& trial : start) {
    auto& sum = sums[outer_genes(trial)];
    sum[0] += 1.0;
    if (trial.violation == 0.0) {
      sum[1] += 1.0;
      sum[2] += trial.objectives.front();
    }
  }
  double most = 0.0;
  for (const auto& [point, sum] : sums) {
    most = std::max(most, sum[1] / sum[0]);
  }
  std::vector<double> best;
  double lowest = std::numeric_limits<double>::infinity();
  for (const auto& [point, sum] : sums) {
    if (sum[1] / sum[0] >= 0.5 * most && sum[2] / sum[1] < lowest) {
      lowest = sum[2] / sum[1];
      best = point;
    }
  }
  ASSERT_EQ(sums.size(), 5U);
  EXPECT_EQ(outer_genes(run(*make({{"steps", 0}}), 41).back()), best);
}

TEST(Mcuformer, TiedGenesStayEqual) {
  const json outer = json::parse(R"(["patch", ["rank_attn", "rank_mlp"]])");
  for (const Trial& trial : run(*make({{"outer", outer}}), 250)) {
    EXPECT_EQ(trial.proposal.genome.genes[1], trial.proposal.genome.genes[2]);
  }
}

TEST(Mcuformer, IsAFunctionOfTheTrialsTold) {
  const auto genomes = [](const std::vector<Trial>& trials) {
    std::vector<Genome> list;
    std::transform(trials.begin(), trials.end(), std::back_inserter(list),
                   [](const Trial& trial) { return trial.proposal.genome; });
    return list;
  };
  EXPECT_EQ(genomes(run(*make(), 450, 1)), genomes(run(*make(), 450, 64)));
  EXPECT_NE(genomes(run(*make({}, 1), 450)), genomes(run(*make({}, 2), 450)));
  RngStream rng{3, Purpose::test, 0};
  const std::vector<Genome> initial{published_outer_space().sample(rng), published_outer_space().sample(rng)};
  for (const std::size_t told : {1U, 2U, 41U, 42U, 43U, 100U, 300U, 431U}) {
    const auto original = make({}, 1, initial);
    const std::vector<Trial> trials = run(*original, told, 7);
    const auto replayed = make({}, 1, initial);
    replayed->tell(trials);
    EXPECT_EQ(replayed->ask(30), original->ask(30)) << told;
  }
}

TEST(Mcuformer, EndsWhenItsPointsAndThenTheSpaceAreExhausted) {
  const ParamSet params{{{"patch", IntegerRange{1, 3, 1}, {}},
                         {"rank_mlp", IntegerRange{1, 3, 1}, {}},
                         {"depth", IntegerRange{1, 5, 1}, {}}}};
  for (const bool legal : {true, false}) {
    const auto algorithm = make_mcuformer({}, {.params = &params, .objectives = 1, .seed = 1});
    const auto trials = run(*algorithm, 1000, 64, [&](Trial& trial) {
      trial.objectives = {trial.proposal.genome.genes[0]};
      trial.violation = legal ? 0.0 : std::numeric_limits<double>::infinity();
    });
    EXPECT_EQ(trials.size(), 45U);
  }
}

TEST(Mcuformer, BreedsFromTheBestOfAllGenerations) {
  // One mutation of a parent with probability 0.2 per gene stays near it: the third generation is better than the
  // first.
  const ParamSet params{{{"a", IntegerRange{0, 31, 1}, {}},
                         {"b", IntegerRange{0, 31, 1}, {}},
                         {"c", IntegerRange{0, 31, 1}, {}},
                         {"d", IntegerRange{0, 31, 1}, {}}}};
  const auto by = [](Trial& trial) {
    const std::vector<double>& genes = trial.proposal.genome.genes;
    trial.objectives = {genes[0] + genes[1] + genes[2] + genes[3]};
  };
  const auto mean = [](std::span<const Trial> trials) {
    double sum = 0.0;
    for (const Trial& trial : trials) {
      sum += trial.objectives.front();
    }
    return sum / static_cast<double>(trials.size());
  };
  const auto algorithm = make_mcuformer({}, {.params = &params, .objectives = 1, .seed = 1});
  const auto trials = run(*algorithm, 200, 64, by);
  EXPECT_LT(mean(std::span(trials).subspan(50, 50)), mean(std::span(trials).first(50)) - 10.0);
  EXPECT_LT(mean(std::span(trials).subspan(150, 50)), mean(std::span(trials).subspan(50, 50)) - 10.0);
}

TEST(Mcuformer, BeatsRandomSearchUnderABudgetThatBites) {
  double ours = 0.0;
  double random = 0.0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ours += best_error(run(*make({}, seed), 600));
    random +=
        best_error(run(*make_random({}, {.params = &published_outer_space(), .objectives = 1, .seed = seed}), 600));
  }
  EXPECT_LT(ours, random);
}

}  // namespace
}  // namespace cosearch
