#include <gtest/gtest.h>

#include <map>

#include "spaces/space/genome.hpp"
#include "tests/spaces/space/random_space.hpp"

namespace cosearch {
namespace {

using testing::random_params;

TEST(Variation, SamplesMutantsAndCrossesAreLegal) {
  for (std::uint64_t space = 0; space < 150; ++space) {
    const ParamSet set(random_params(space, 1 + space % 8, true));
    RngStream rng(1, Purpose::test, space);
    for (int trial = 0; trial < 30; ++trial) {
      const Genome a = set.sample(rng);
      const Genome b = set.sample(rng);
      ASSERT_TRUE(set.legal(a)) << "space " << space;
      ASSERT_TRUE(set.legal(set.mutate(a, 0.3, rng))) << "space " << space;
      ASSERT_TRUE(set.legal(set.crossover(a, b, rng))) << "space " << space;
    }
  }
}

TEST(Variation, MutantsDifferFromTheirParentUnlessTheSpaceHasOnePoint) {
  for (std::uint64_t space = 0; space < 150; ++space) {
    const ParamSet set(random_params(space, 1 + space % 8, true));
    RngStream rng(2, Purpose::test, space);
    for (const double probability : {0.0, 0.2, 1.0}) {
      for (int trial = 0; trial < 20; ++trial) {
        const Genome parent = set.sample(rng);
        const Genome child = set.mutate(parent, probability, rng);
        EXPECT_EQ(child == parent, set.count() == 1) << "space " << space;
      }
    }
  }
}

TEST(Variation, AZeroProbabilityChangesOneGeneOfAnUnconditionalSpace) {
  const ParamSet set({{"a", IntegerRange{0, 9, 1}, {}}, {"b", IntegerRange{0, 9, 1}, {}}, {"c", RealRange{}, {}}});
  RngStream rng(4, Purpose::test, 0);
  std::map<std::size_t, int> changes;
  for (int trial = 0; trial < 300; ++trial) {
    const Genome parent = set.sample(rng);
    const Genome child = set.mutate(parent, 0.0, rng);
    int changed = 0;
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (child.genes[i] != parent.genes[i]) {
        ++changed;
        ++changes[i];
      }
    }
    EXPECT_EQ(changed, 1);
  }
  for (std::size_t i = 0; i < set.size(); ++i) {
    EXPECT_GT(changes[i], 60) << "expected 100 of 300";
  }
}

TEST(Variation, OrderedGenesMostlyStepAndUnorderedOnesJump) {
  Choices words;
  for (int i = 0; i < 20; ++i) {
    words.values.emplace_back("w" + std::to_string(i));
  }
  const ParamSet ordered({{"a", IntegerRange{0, 19, 1}, {}}});
  const ParamSet unordered({{"a", words, {}}});
  RngStream rng(5, Purpose::test, 0);
  int steps_ordered = 0;
  int steps_unordered = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    const Genome parent{{10}};
    steps_ordered += std::abs(ordered.mutate(parent, 1.0, rng).genes[0] - 10) == 1 ? 1 : 0;
    steps_unordered += std::abs(unordered.mutate(parent, 1.0, rng).genes[0] - 10) == 1 ? 1 : 0;
  }
  // Half of the ordered changes are steps and 2/19 of the others land next door too: 553 expected, 105 unordered.
  EXPECT_NEAR(steps_ordered, 553, 65);
  EXPECT_NEAR(steps_unordered, 105, 40);
}

TEST(Variation, SamplingIsUniformOverEachActiveDomain) {
  const ParamSet set({{"family", Choices{{std::string("a"), std::string("b")}}, {}},
                      {"depth", IntegerRange{1, 5, 1}, {"family", {1}}},
                      {"rate", RealRange{0.01, 100.0, true}, {}}});
  RngStream rng(6, Purpose::test, 0);
  std::map<double, int> families;
  std::map<double, int> depths;
  int below_one = 0;
  const int samples = 10000;
  for (int i = 0; i < samples; ++i) {
    const Genome genome = set.sample(rng);
    ++families[genome.genes[0]];
    if (genome.genes[0] == 1.0) {
      ++depths[genome.genes[1]];
    }
    below_one += genome.genes[2] < 1.0 ? 1 : 0;
  }
  // Tolerances are five standard deviations of the binomial.
  EXPECT_NEAR(families[0.0], 5000, 250);
  EXPECT_NEAR(below_one, 5000, 250);
  ASSERT_EQ(depths.size(), 5U);
  for (const auto& [gene, count] : depths) {
    EXPECT_NEAR(count, 1000, 145) << gene;
  }
}

TEST(Variation, EveryPointOfASmallSpaceIsReachedBySamplesAndByMutation) {
  const ParamSet set(random_params(21, 5, false));
  ASSERT_GT(*set.count(), 10);
  ASSERT_LT(*set.count(), 3000);
  RngStream rng(7, Purpose::test, 0);
  std::map<std::vector<double>, int> sampled;
  std::map<std::vector<double>, int> walked;
  Genome walker = set.sample(rng);
  for (int i = 0; i < 60000; ++i) {
    ++sampled[set.sample(rng).genes];
    walker = set.mutate(walker, 0.2, rng);
    ++walked[walker.genes];
  }
  EXPECT_EQ(static_cast<std::int64_t>(sampled.size()), *set.count());
  EXPECT_EQ(static_cast<std::int64_t>(walked.size()), *set.count());
}

TEST(Variation, CrossoverTakesEachGeneFromAParentInWhichItIsActive) {
  for (std::uint64_t space = 0; space < 60; ++space) {
    const ParamSet set(random_params(space, 7, true));
    RngStream rng(8, Purpose::test, space);
    for (int trial = 0; trial < 30; ++trial) {
      const Genome a = set.sample(rng);
      const Genome b = set.sample(rng);
      const Genome child = set.crossover(a, b, rng);
      for (std::size_t i = 0; i < set.size(); ++i) {
        if (set.active(i, child)) {
          EXPECT_TRUE((set.active(i, a) && child.genes[i] == a.genes[i]) ||
                      (set.active(i, b) && child.genes[i] == b.genes[i]));
        }
      }
      EXPECT_EQ(set.crossover(a, a, rng), a);
    }
  }
}

TEST(Variation, EqualStreamsGiveEqualGenomes) {
  const ParamSet set(random_params(3, 8, true));
  RngStream first(9, Purpose::vary, 4);
  RngStream second(9, Purpose::vary, 4);
  const Genome a = set.sample(first);
  EXPECT_EQ(a, set.sample(second));
  EXPECT_EQ(set.mutate(a, 0.5, first), set.mutate(a, 0.5, second));
}

}  // namespace
}  // namespace cosearch
