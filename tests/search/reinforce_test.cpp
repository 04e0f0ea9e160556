#include "search/reinforce.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "search/random.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

/// Four network genes, two of hardware; the last network gene may be absent.
const ParamSet& joint_space() {
  static const ParamSet space{{
      {"depth", IntegerRange{0, 7, 1}, {}},
      {"width", IntegerRange{0, 7, 1}, {}},
      {"kind", Choices{{std::string("plain"), std::string("rich")}}, {}},
      {"rich.rank", IntegerRange{0, 7, 1}, {"kind", {1}}},
      {"hw.elements", IntegerRange{0, 9, 1}, {}},
      {"hw.bandwidth", IntegerRange{0, 9, 1}, {}},
  }};
  return space;
}

AlgorithmContext joint_context(std::uint64_t seed = 1) {
  return {.params = &joint_space(),
          .objectives = 2,
          .seed = seed,
          .hardware = {false, false, false, false, true, true},
          .learned = {true, false}};
}

using Measure = std::function<void(Trial&)>;

std::vector<Trial> run(SearchAlgorithm& algorithm, std::size_t evaluations, const Measure& measure,
                       std::size_t batch = 1000) {
  std::vector<Trial> trials;
  while (trials.size() < evaluations) {
    const std::size_t first = trials.size();
    for (const Proposal& proposal : algorithm.ask(std::min(batch, evaluations - first))) {
      Trial trial{.id = static_cast<TrialId>(trials.size()), .proposal = proposal, .objectives = {}};
      measure(trial);
      trials.push_back(std::move(trial));
    }
    if (trials.size() == first) {
      break;
    }
    algorithm.tell(std::span(trials).subspan(first));
  }
  return trials;
}

bool same_network(const Genome& a, const Genome& b) {
  return std::equal(a.genes.begin(), a.genes.begin() + 4, b.genes.begin());
}

/// Deeper networks err less, costlier ones break a limit that larger hardware relaxes.
void deep_or_cheap(Trial& trial) {
  const std::vector<double>& genes = trial.proposal.genome.genes;
  const double latency = (1.0 + genes[0] + genes[1]) / (1.0 + genes[4]) + 0.1 * genes[5];
  trial.violation = std::max(0.0, latency - 1.0);
  if (trial.violation > 0.0) {
    trial.state = TrialState::infeasible;
    return;
  }
  trial.objectives = {1.0 - (genes[0] + genes[1]) / 14.0, latency};
}

TEST(Reinforce, KeepsTheNetworkInHardwareOnlyProposals) {
  const auto algorithm = make_reinforce({{"hardware_steps", 4}}, joint_context());
  const auto trials = run(*algorithm, 100, deep_or_cheap);
  ASSERT_EQ(trials.size(), 100U);
  std::set<std::vector<double>> networks;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Genome& genome = trials[i].proposal.genome;
    const Genome& joint = trials[i - i % 5].proposal.genome;
    EXPECT_TRUE(same_network(genome, joint)) << "trial " << i;
    networks.insert({joint.genes.begin(), joint.genes.begin() + 4});
  }
  EXPECT_GT(networks.size(), 10U);  // of 20 episodes: joint proposals do change the network
}

TEST(Reinforce, WaitsForTheWholeEpisode) {
  const auto algorithm = make_reinforce({{"hardware_steps", 4}}, joint_context());
  auto proposals = algorithm->ask(3);
  const auto rest = algorithm->ask(100);
  ASSERT_EQ(proposals.size(), 3U);
  ASSERT_EQ(rest.size(), 2U);
  proposals.insert(proposals.end(), rest.begin(), rest.end());
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    EXPECT_TRUE(algorithm->ask(100).empty()) << i << " of 5 told";
    EXPECT_TRUE(same_network(proposals[i].genome, proposals[0].genome));
    Trial trial{.id = static_cast<TrialId>(i), .proposal = proposals[i], .objectives = {}};
    deep_or_cheap(trial);
    algorithm->tell(std::span(&trial, 1));
  }
  EXPECT_EQ(algorithm->ask(100).size(), 5U);
}

TEST(Reinforce, GoesOnInTheMiddleOfAnEpisode) {
  for (const std::size_t told : {1U, 11U, 12U, 20U, 57U}) {
    const auto original = make_reinforce({}, joint_context());
    const auto trials = run(*original, told, deep_or_cheap, 3);
    const auto replayed = make_reinforce({}, joint_context());
    replayed->tell(trials);
    const auto next = original->ask(100);
    EXPECT_FALSE(next.empty());
    EXPECT_EQ(replayed->ask(100), next) << told << " trials told";
  }
}

TEST(Reinforce, TurnsToOtherNetworksWhenTheHardwareIsUsedUp) {
  // Four designs of hardware for each network, ten hardware steps: several networks share an episode.
  const ParamSet space{{{"depth", IntegerRange{0, 19, 1}, {}}, {"hw.board", IntegerRange{0, 3, 1}, {}}}};
  const auto algorithm = make_reinforce({}, {.params = &space, .hardware = {false, true}});
  const auto trials = run(*algorithm, 1000, [](Trial& trial) { trial.objectives = {1.0, 1.0}; });
  EXPECT_EQ(trials.size(), 80U);  // all of them
}

/// A known optimum: every gene counts by itself.
double distance(const Genome& genome) {
  static const std::vector<double> best{3, 7, 0, 5, 2, 6};
  double sum = 0.0;
  for (std::size_t i = 0; i < best.size(); ++i) {
    sum += std::abs(genome.genes[i] - best[i]) / 7.0;
  }
  return sum / 6.0;
}

double best_of(const std::vector<Trial>& trials) {
  double best = std::numeric_limits<double>::infinity();
  for (const Trial& trial : trials) {
    best = std::min(best, trial.objectives.front());
  }
  return best;
}

TEST(Reinforce, LearnsASeparableProblemFarBetterThanRandomSearch) {
  std::vector<Param> params;
  for (int i = 0; i < 6; ++i) {
    params.push_back({"x" + std::to_string(i), IntegerRange{0, 7, 1}, {}});
  }
  const ParamSet space{params};  // 262,144 designs
  const Measure measure = [](Trial& trial) { trial.objectives = {distance(trial.proposal.genome)}; };
  constexpr double kStep = 1.0 / 42.0;  // one gene off by one
  double random_sum = 0.0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const AlgorithmContext context{.params = &space, .objectives = 1, .seed = seed};
    EXPECT_LE(best_of(run(*make_reinforce({}, context), 660, measure)), kStep + 1e-9) << "seed " << seed;
    random_sum += best_of(run(*make_random({}, context), 660, measure));
  }
  EXPECT_GT(random_sum / 5.0, 2.5 * kStep);
}

TEST(Reinforce, LearnsToMeetConstraints) {
  // Latency <= 1 asks for hardware that fits the network.
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto feasible = [&](SearchAlgorithm& algorithm) {
      const auto trials = run(algorithm, 1100, deep_or_cheap);
      return std::count_if(trials.end() - 220, trials.end(), [](const Trial& trial) { return trial.violation == 0.0; });
    };
    EXPECT_GT(feasible(*make_reinforce({}, joint_context(seed))), 3 * feasible(*make_random({}, joint_context(seed))))
        << "seed " << seed;
  }
}

TEST(Reinforce, LearnsFromTheObjectivesThatAreWeighted) {
  // Hardware costs nothing but latency: weighted, it is bought; not weighted, it is drawn as before.
  const Measure measure = [](Trial& trial) { trial.objectives = {0.5, 10.0 - trial.proposal.genome.genes[4]}; };
  const auto mean_elements = [&](const nlohmann::json& options) {
    const auto trials = run(*make_reinforce(options, joint_context()), 330, measure);
    double sum = 0.0;
    for (const Trial& trial : std::span(trials).last(110)) {
      sum += trial.proposal.genome.genes[4] / 110.0;
    }
    return sum;
  };
  EXPECT_NEAR(mean_elements({}), 4.5, 1.0);
  EXPECT_GT(mean_elements({{"weights", {1, 1}}}), 7.0);
}

TEST(Reinforce, OptionsChangeTheSearch) {
  const auto proposals = [](const nlohmann::json& options) {
    std::vector<std::vector<double>> genomes;
    for (const Trial& trial : run(*make_reinforce(options, joint_context()), 220, deep_or_cheap)) {
      genomes.push_back(trial.proposal.genome.genes);
    }
    return genomes;
  };
  const auto usual = proposals({});
  const nlohmann::json defaults{{"hardware_steps", 10},  {"hidden", 32},  {"learning_rate", 0.02}, {"discount", 1.0},
                                {"baseline_decay", 0.9}, {"penalty", 10}, {"weights", {1, 0}}};
  EXPECT_EQ(proposals(defaults), usual);
  const nlohmann::json others{{"hardware_steps", 9},   {"hidden", 16},   {"learning_rate", 0.2}, {"discount", 0.5},
                              {"baseline_decay", 0.1}, {"penalty", 0.1}, {"weights", {0, 1}}};
  for (const auto& [key, value] : others.items()) {
    EXPECT_NE(proposals({{key, value}}), usual) << key;
  }
}

TEST(Reinforce, RefusesOptionsThatAreWrong) {
  const auto message = [&](const nlohmann::json& options) {
    try {
      (void)make_reinforce(options, joint_context());
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(message({{"hardware_steps", -1}}), "/search/hardware_steps: expected an integer from 0 to 10000, read -1");
  EXPECT_EQ(message({{"hidden", 0}}), "/search/hidden: expected an integer from 1 to 1024, read 0");
  EXPECT_EQ(message({{"learning_rate", 0}}), "/search/learning_rate: expected a number above 0, read 0");
  EXPECT_EQ(message({{"discount", 1.5}}), "/search/discount: expected a number from 0 to 1, read 1.5");
  EXPECT_EQ(message({{"baseline_decay", "slow"}}),
            "/search/baseline_decay: expected a number from 0 to 1, read \"slow\"");
  EXPECT_EQ(message({{"weights", {1}}}),
            "/search/weights: expected 2 numbers from 0, one for each objective, not all 0, read [1]");
  EXPECT_EQ(message({{"weights", {0, 0}}}),
            "/search/weights: expected 2 numbers from 0, one for each objective, not all 0, read [0,0]");
  EXPECT_THAT(message({{"weights", {1, -1}}}),
              testing::StartsWith("/search/weights/1: expected a number of at least 0"));
  EXPECT_THAT(message({{"rate", 1}}), testing::HasSubstr("\"rate\" is not known"));
}

}  // namespace
}  // namespace cosearch
