#include "search/variation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace cosearch {
namespace {

/// Every kind of domain, with conditions.
ParamSet mixed() {
  return ParamSet{{
      {"family", Choices{{std::string("a"), std::string("b")}}, {}},
      {"a.depth", IntegerRange{1, 9, 2}, {"family", {0}}},
      {"a.ratio", RealRange{0.25, 4.0, false}, {"family", {0}}},
      {"b.rate", RealRange{1e-4, 1.0, true}, {"family", {1}}},
      {"width", RealRange{-1.0, 1.0, false}, {}},
      {"fixed", RealRange{2.0, 2.0, false}, {}},
  }};
}

ParamSet one_real(bool logarithmic) { return ParamSet{{{"x", RealRange{0.01, 1.0, logarithmic}, {}}}}; }

TEST(Variation, ChildrenOfMixedGenomesAreLegal) {
  const ParamSet params = mixed();
  for (std::uint64_t i = 0; i < 3000; ++i) {
    RngStream rng{51, Purpose::test, i};
    const Genome a = params.sample(rng);
    const Genome b = params.sample(rng);
    const Genome child = cross(params, a, b, rng);
    ASSERT_TRUE(params.legal(child)) << "case " << i;
    ASSERT_TRUE(params.legal(mutate(params, child, 0.5, rng))) << "case " << i;
  }
}

TEST(Variation, MutationChangesAtLeastOneGene) {
  const ParamSet params = mixed();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    RngStream rng{52, Purpose::test, i};
    const Genome parent = params.sample(rng);
    ASSERT_NE(mutate(params, parent, 0.0, rng), parent) << "case " << i;
  }
}

TEST(Variation, MutationsAtABoundStayInsideAndMove) {
  for (const bool logarithmic : {false, true}) {
    const ParamSet params = one_real(logarithmic);
    for (const double bound : {0.01, 1.0}) {
      for (std::uint64_t i = 0; i < 200; ++i) {
        RngStream rng{53, Purpose::test, i};
        const Genome child = mutate(params, {{bound}}, 1.0, rng);
        ASSERT_TRUE(params.legal(child));
        ASSERT_NE(child.genes[0], bound);
      }
    }
  }
}

TEST(Variation, MutationsOfRealGenesAreMostlySmall) {
  // Polynomial mutation: the step relative to the range, (2u)^(1 / 21) - 1 at the median of a side (u = 1/4), is 3.2 %.
  const ParamSet params{{{"x", RealRange{0.0, 1.0, false}, {}}}};
  std::vector<double> steps;
  double sum = 0.0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    RngStream rng{54, Purpose::test, i};
    const double step = mutate(params, {{0.5}}, 1.0, rng).genes[0] - 0.5;
    steps.push_back(std::abs(step));
    sum += step;
  }
  std::sort(steps.begin(), steps.end());
  EXPECT_NEAR(steps[2000], 1.0 - std::pow(0.5, 1.0 / 21.0), 0.003);
  EXPECT_NEAR(sum / 4000.0, 0.0, 0.005) << "no side is preferred";
}

TEST(Variation, CrossoverOfRealGenesKeepsTheParentsMean) {
  // Half of the genes are the first parent's; the others lie around both parents, symmetrically.
  const ParamSet params{{{"x", RealRange{0.0, 10.0, false}, {}}}};
  double crossed_sum = 0.0;
  int crossed = 0;
  int kept = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    RngStream rng{55, Purpose::test, i};
    const double child = cross(params, {{4.0}}, {{6.0}}, rng).genes[0];
    if (child == 4.0) {
      ++kept;
    } else {
      ++crossed;
      crossed_sum += child;
    }
  }
  EXPECT_NEAR(kept, 2000, 150);
  EXPECT_NEAR(crossed_sum / crossed, 5.0, 0.1);
}

TEST(Variation, LogarithmicGenesStepByFactors) {
  // The same relative steps at both ends of the range: medians of the factors agree, those of the differences do not.
  const ParamSet params{{{"x", RealRange{1e-6, 1.0, true}, {}}}};
  const auto median_factor = [&](double gene) {
    std::vector<double> factors;
    for (std::uint64_t i = 0; i < 2000; ++i) {
      RngStream rng{56, Purpose::test, i};
      factors.push_back(std::abs(std::log(mutate(params, {{gene}}, 1.0, rng).genes[0] / gene)));
    }
    std::nth_element(factors.begin(), factors.begin() + 1000, factors.end());
    return factors[1000];
  };
  EXPECT_NEAR(median_factor(1e-4), median_factor(1e-2), 0.02);
}

}  // namespace
}  // namespace cosearch
