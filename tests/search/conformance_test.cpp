#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "search/algorithm.hpp"
#include "spaces/base/config_error.hpp"

/// What every algorithm of the registry promises.
namespace cosearch {
namespace {

using testing::HasSubstr;

const ParamSet& mixed_space() {
  static const ParamSet space{{
      {"family", Choices{{std::string("cnn"), std::string("vit")}}, {}},
      {"cnn.depth", IntegerRange{1, 12, 1}, {"family", {0}}},
      {"cnn.kernel", Choices{{std::int64_t{3}, std::int64_t{5}, std::int64_t{7}}}, {"family", {0}}},
      {"vit.rate", RealRange{0.001, 1.0, true}, {"family", {1}}},
      {"width", RealRange{0.5, 2.0, false}, {}},
      {"board", Choices{{std::string("f4"), std::string("f7"), std::string("h7")}}, {}},
  }};
  return space;
}

/// 2 * (3 * 3) + 4 = 22 genomes, of which sampling meets some rarely.
const ParamSet& tiny_space() {
  static const ParamSet space{{
      {"family", Choices{{std::string("a"), std::string("b"), std::string("c")}}, {}},
      {"depth", IntegerRange{1, 3, 1}, {"family", {0, 1}}},
      {"width", IntegerRange{1, 3, 1}, {"family", {0, 1}}},
      {"rank", IntegerRange{1, 4, 1}, {"family", {2}}},
  }};
  return space;
}

using Evaluate = std::function<Trial(const Proposal&, TrialId)>;

/// Two smooth, conflicting objectives of the genes.
Trial conflicting(const Proposal& proposal, TrialId id) {
  double near_zero = 0.0;
  double near_two = 0.0;
  for (const double gene : proposal.genome.genes) {
    near_zero += gene * gene;
    near_two += (gene - 2.0) * (gene - 2.0);
  }
  return {id, proposal, TrialState::complete, {near_zero, near_two}, 0.0};
}

/// All four states, by turns.
Trial troubled(const Proposal& proposal, TrialId id) {
  Trial trial = conflicting(proposal, id);
  switch (id % 4) {
    case 0:
      return trial;
    case 1:
      trial.state = TrialState::screened;
      return trial;
    case 2:
      return {id, proposal, TrialState::infeasible, {}, 0.5 + proposal.genome.genes[0]};
    default:
      return {id, proposal, TrialState::failed, {}, 0.0};
  }
}

Trial hopeless(const Proposal& proposal, TrialId id) {
  const double violation =
      id % 2 == 0 ? std::numeric_limits<double>::infinity() : 1.0 + std::abs(proposal.genome.genes[0]);
  return {id, proposal, TrialState::infeasible, {}, violation};
}

class Algorithm : public testing::TestWithParam<AlgorithmEntry> {
 protected:
  static std::unique_ptr<SearchAlgorithm> make(const ParamSet& space, std::uint64_t seed = 7,
                                               std::vector<Genome> initial = {}) {
    return make_algorithm(std::string(GetParam().name), nlohmann::json::object(),
                          {.params = &space,
                           .objectives = 2,
                           .seed = seed,
                           .fidelity = {FidelityKind::epochs, 3},
                           .initial = std::move(initial)});
  }

  /// Asks for `batch` at a time, tells at once, until `evaluations` are done or the algorithm has finished.
  static std::vector<Trial> run(SearchAlgorithm& algorithm, std::size_t evaluations, std::size_t batch,
                                const Evaluate& evaluate) {
    std::vector<Trial> trials;
    while (trials.size() < evaluations) {
      const auto proposals = algorithm.ask(std::min(batch, evaluations - trials.size()));
      if (proposals.empty()) {
        break;
      }
      const std::size_t first = trials.size();
      for (const Proposal& proposal : proposals) {
        trials.push_back(evaluate(proposal, static_cast<TrialId>(trials.size())));
      }
      algorithm.tell(std::span(trials).subspan(first));
    }
    return trials;
  }

  static std::vector<Genome> genomes(const std::vector<Trial>& trials) {
    std::vector<Genome> genomes;
    for (const Trial& trial : trials) {
      genomes.push_back(trial.proposal.genome);
    }
    return genomes;
  }

  static void expect_legal_and_different(const ParamSet& space, const std::vector<Trial>& trials) {
    std::set<std::vector<double>> seen;
    for (const Trial& trial : trials) {
      ASSERT_TRUE(space.legal(trial.proposal.genome));
      ASSERT_TRUE(seen.insert(trial.proposal.genome.genes).second) << "trial " << trial.id << " was proposed before";
    }
  }
};

TEST_P(Algorithm, ProposesLegalGenomesAndNoneTwice) {
  const auto algorithm = make(mixed_space());
  const auto trials = run(*algorithm, 1000, 7, conflicting);
  ASSERT_EQ(trials.size(), 1000U);
  expect_legal_and_different(mixed_space(), trials);
}

TEST_P(Algorithm, ProposesTheGivenFidelityAndAtMostSoMany) {
  const auto algorithm = make(mixed_space());
  EXPECT_TRUE(algorithm->ask(0).empty());
  const auto proposals = algorithm->ask(5);
  ASSERT_EQ(proposals.size(), 5U);
  for (const Proposal& proposal : proposals) {
    EXPECT_EQ(proposal.fidelity, (Fidelity{FidelityKind::epochs, 3}));
    EXPECT_FALSE(proposal.continues.has_value());
  }
}

TEST_P(Algorithm, GivesEqualRunsForEqualSeeds) {
  const auto first = run(*make(mixed_space(), 3), 300, 10, conflicting);
  const auto second = run(*make(mixed_space(), 3), 300, 10, conflicting);
  const auto other = run(*make(mixed_space(), 4), 300, 10, conflicting);
  EXPECT_EQ(genomes(first), genomes(second));
  EXPECT_NE(genomes(first), genomes(other));
}

TEST_P(Algorithm, DoesNotDependOnTheSizeOfTheBatches) {
  // Within a generation results may come one by one or together.
  EXPECT_EQ(genomes(run(*make(mixed_space()), 300, 1, conflicting)),
            genomes(run(*make(mixed_space()), 300, 40, conflicting)));
}

TEST_P(Algorithm, GoesOnWhereAnEarlierRunStopped) {
  for (const std::size_t told : {1U, 39U, 40U, 41U, 100U, 215U}) {
    const auto original = make(mixed_space());
    const auto trials = run(*original, told, 3, troubled);
    const auto replayed = make(mixed_space());
    replayed->tell(trials);
    EXPECT_EQ(replayed->ask(25), original->ask(25)) << told << " trials told";
  }
}

TEST_P(Algorithm, GoesOnWithTheSameProposalsWhenSomeWerePending) {
  const auto original = make(mixed_space());
  auto trials = run(*original, 50, 10, conflicting);
  const auto pending = original->ask(20);
  ASSERT_FALSE(pending.empty());
  const auto replayed = make(mixed_space());
  replayed->tell(trials);
  EXPECT_EQ(replayed->ask(20), pending);
}

TEST_P(Algorithm, ProposesInitialDesignsFirst) {
  RngStream rng{61, Purpose::test, 0};
  std::vector<Genome> initial;
  for (int i = 0; i < 45; ++i) {  // more than a default generation
    initial.push_back(mixed_space().sample(rng));
  }
  std::vector<Genome> given = initial;
  given.insert(given.begin() + 1, initial[0]);  // a repeated design is proposed once
  const auto trials = run(*make(mixed_space(), 7, given), 100, 10, conflicting);
  const auto proposed = genomes(trials);
  EXPECT_TRUE(std::equal(initial.begin(), initial.end(), proposed.begin()));
  expect_legal_and_different(mixed_space(), trials);
}

TEST_P(Algorithm, EndsWhenASmallSpaceIsExhausted) {
  ASSERT_EQ(tiny_space().count(), 22);
  const auto algorithm = make(tiny_space());
  const auto trials = run(*algorithm, 1000, 4, conflicting);
  EXPECT_EQ(trials.size(), 22U);
  expect_legal_and_different(tiny_space(), trials);
  EXPECT_TRUE(algorithm->ask(1).empty());
}

TEST_P(Algorithm, EndsWhenALargerSpaceIsExhausted) {
  const ParamSet space{{{"x", IntegerRange{0, 19, 1}, {}}, {"y", IntegerRange{0, 19, 1}, {}}}};
  const auto trials = run(*make(space), 1000, 16, conflicting);
  EXPECT_EQ(trials.size(), 400U);
  expect_legal_and_different(space, trials);
}

TEST_P(Algorithm, EndsInASpaceOfOnePoint) {
  for (const Domain& domain : {Domain{Choices{{std::int64_t{3}}}}, Domain{RealRange{2.0, 2.0, false}}}) {
    const ParamSet space{{{"x", domain, {}}}};
    EXPECT_EQ(run(*make(space), 100, 8, conflicting).size(), 1U);
  }
}

TEST_P(Algorithm, SurvivesInfeasibleScreenedAndFailedTrials) {
  const auto trials = run(*make(mixed_space()), 500, 9, troubled);
  EXPECT_EQ(trials.size(), 500U);
  expect_legal_and_different(mixed_space(), trials);
}

TEST_P(Algorithm, SurvivesWhenEverythingIsInfeasible) {
  const auto trials = run(*make(mixed_space()), 500, 9, hopeless);
  EXPECT_EQ(trials.size(), 500U);
  expect_legal_and_different(mixed_space(), trials);
}

TEST_P(Algorithm, SurvivesOneAndManyObjectives) {
  for (const std::size_t objectives : {1U, 5U}) {
    const auto algorithm = make_algorithm(std::string(GetParam().name), {},
                                          {.params = &mixed_space(), .objectives = objectives, .seed = 1});
    const auto trials = run(*algorithm, 200, 10, [&](const Proposal& proposal, TrialId id) {
      Trial trial = conflicting(proposal, id);
      trial.objectives.resize(objectives, static_cast<double>(id % 7));
      return trial;
    });
    EXPECT_EQ(trials.size(), 200U);
  }
}

TEST_P(Algorithm, RefusesUnknownOptionsAndWrongTypes) {
  const auto message = [](const nlohmann::json& options) {
    try {
      (void)make_algorithm(std::string(GetParam().name), options, {.params = &mixed_space()});
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message({{"no/such option", 1}}), testing::StartsWith("/search/no~1such option: "));
  EXPECT_THAT(message({{"no/such option", 1}}), HasSubstr("is not known"));
  EXPECT_EQ(message(nlohmann::json::array()), "/search: expected an object, read []");
}

INSTANTIATE_TEST_SUITE_P(Registry, Algorithm,
                         testing::ValuesIn(algorithm_registry().begin(), algorithm_registry().end()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(AlgorithmRegistry, IsSortedAndDescribed) {
  for (std::size_t i = 0; i < algorithm_registry().size(); ++i) {
    EXPECT_FALSE(algorithm_registry()[i].summary.empty());
    EXPECT_TRUE(i == 0 || algorithm_registry()[i - 1].name < algorithm_registry()[i].name);
  }
}

TEST(AlgorithmRegistry, NamesWhatItKnows) {
  try {
    (void)make_algorithm("nsga3", {}, {.params = &mixed_space()});
    FAIL() << "made";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "/search/algorithm: \"nsga3\" is not known; known: mcuformer, nsga2, random, reinforce; did you mean "
                 "\"nsga2\"?");
  }
}

}  // namespace
}  // namespace cosearch
