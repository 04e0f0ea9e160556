#include "spaces/space/genome.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "spaces/base/config_error.hpp"
#include "tests/spaces/space/random_space.hpp"

namespace cosearch {
namespace {

using testing::domain_size;
using testing::random_params;

/// Oracle: activity by walking the conditions recursively over plain parameters.
bool oracle_active(const std::vector<Param>& params, std::size_t index, const std::vector<double>& genes) {
  const Condition& condition = params[index].active_when;
  if (condition.param.empty()) {
    return true;
  }
  std::size_t parent = 0;
  while (params[parent].name != condition.param) {
    ++parent;
  }
  bool holds = false;
  for (const std::int64_t v : condition.values) {
    holds = holds || static_cast<double>(v) == genes[parent];
  }
  return holds && oracle_active(params, parent, genes);
}

/// Oracle: the canonical forms of all combinations of genes, found by trying every combination.
std::set<std::vector<double>> all_designs(const std::vector<Param>& params) {
  std::set<std::vector<double>> designs;
  std::vector<double> genes(params.size(), 0.0);
  while (true) {
    std::vector<double> design = genes;
    for (std::size_t i = 0; i < params.size(); ++i) {
      if (!oracle_active(params, i, genes)) {
        design[i] = 0.0;
      }
    }
    designs.insert(design);
    std::size_t i = 0;
    for (; i < params.size(); ++i) {
      if (++genes[i] < static_cast<double>(domain_size(params[i].domain))) {
        break;
      }
      genes[i] = 0.0;
    }
    if (i == params.size()) {
      return designs;
    }
  }
}

TEST(ParamSet, CountAndEnumerationMatchBruteForceOnRandomConditionalSpaces) {
  for (std::uint64_t space = 0; space < 200; ++space) {
    const std::vector<Param> params = random_params(space, 1 + space % 6, false);
    const ParamSet set(params);
    const std::set<std::vector<double>> expected = all_designs(params);
    ASSERT_EQ(set.count(), static_cast<std::int64_t>(expected.size())) << "space " << space;
    std::vector<std::vector<double>> listed;
    for (const Genome& genome : set.enumerate(100000)) {
      listed.push_back(genome.genes);
    }
    // A std::set of vectors is in lexicographic order.
    EXPECT_EQ(listed, std::vector<std::vector<double>>(expected.begin(), expected.end())) << "space " << space;
  }
}

TEST(ParamSet, EnumerationStopsAtTheLimit) {
  const ParamSet set({{"a", IntegerRange{0, 9, 1}, {}}, {"b", IntegerRange{0, 9, 1}, {}}});
  const std::vector<Genome> first = set.enumerate(12);
  ASSERT_EQ(first.size(), 12U);
  EXPECT_EQ(first[11].genes, (std::vector<double>{1, 1}));
  EXPECT_TRUE(set.enumerate(0).empty());
  EXPECT_EQ(set.enumerate(1000).size(), 100U);
}

TEST(ParamSet, CountIsExactForHugeConditionalSpacesAndSaturates) {
  std::vector<Param> params{{"family", Choices{{std::string("a"), std::string("b")}}, {}}};
  for (int i = 0; i < 15; ++i) {
    params.push_back({"a" + std::to_string(i), IntegerRange{1, 10, 1}, {"family", {0}}});
  }
  params.push_back({"b", IntegerRange{0, 6, 1}, {"family", {1}}});
  EXPECT_EQ(ParamSet(params).count(), 1'000'000'000'000'007);
  for (int i = 0; i < 15; ++i) {
    params.push_back({"c" + std::to_string(i), IntegerRange{1, 100, 1}, {}});
  }
  EXPECT_EQ(ParamSet(params).count(), std::numeric_limits<std::int64_t>::max());
}

TEST(ParamSet, CountIsNothingOnlyWhenARealCanBeActive) {
  const Param family{"family", Choices{{std::string("a"), std::string("b")}}, {}};
  const Param rate{"rate", RealRange{0.0, 1.0, false}, {"family", {1}}};
  EXPECT_EQ(ParamSet({family, rate}).count(), std::nullopt);
  const Param never{"rate", RealRange{0.0, 1.0, false}, {"family", {}}};
  EXPECT_EQ(ParamSet({family, never}).count(), 2);
  EXPECT_EQ(ParamSet({family, never}).enumerate(10).size(), 2U);
}

TEST(ParamSet, TheEmptySpaceHasOnePoint) {
  const ParamSet set;
  EXPECT_EQ(set.count(), 1);
  EXPECT_EQ(set.enumerate(10).size(), 1U);
  EXPECT_TRUE(set.legal(Genome{}));
}

TEST(ParamSet, CanonicalFormZeroesInactiveGenesAndIsIdempotent) {
  for (std::uint64_t space = 0; space < 100; ++space) {
    const std::vector<Param> params = random_params(space, 6, false);
    const ParamSet set(params);
    RngStream rng(3, Purpose::test, space);
    for (int trial = 0; trial < 20; ++trial) {
      Genome genome;
      for (const Param& param : params) {
        genome.genes.push_back(static_cast<double>(rng.below(static_cast<std::uint64_t>(domain_size(param.domain)))));
      }
      const Genome once = set.canonical(genome);
      EXPECT_EQ(set.canonical(once), once);
      EXPECT_TRUE(set.legal(once));
      for (std::size_t i = 0; i < params.size(); ++i) {
        EXPECT_EQ(once.genes[i], oracle_active(params, i, genome.genes) ? genome.genes[i] : 0.0);
        EXPECT_EQ(set.active(i, genome), oracle_active(params, i, genome.genes));
      }
    }
  }
}

TEST(ParamSet, LegalRefusesWrongLengthForeignGenesAndActiveDeadGenes) {
  const ParamSet set({{"family", Choices{{std::string("a"), std::string("b")}}, {}},
                      {"depth", IntegerRange{1, 4, 1}, {"family", {1}}},
                      {"rate", RealRange{0.5, 1.0, false}, {}}});
  EXPECT_TRUE(set.legal({{1, 3, 0.5}}));
  EXPECT_TRUE(set.legal({{0, 0, 1.0}}));
  EXPECT_FALSE(set.legal({{1, 3}}));
  EXPECT_FALSE(set.legal({{2, 0, 0.5}}));
  EXPECT_FALSE(set.legal({{1, 4, 0.5}}));
  EXPECT_FALSE(set.legal({{1, 1.5, 0.5}}));
  EXPECT_FALSE(set.legal({{1, -1, 0.5}}));
  EXPECT_FALSE(set.legal({{0, 1, 0.5}}));
  EXPECT_FALSE(set.legal({{0, 0, 0.4}}));
  EXPECT_FALSE(set.legal({{0, 0, std::nan("")}}));
}

TEST(ParamSet, EqualGenomesHaveEqualHashesAndOthersDiffer) {
  const ParamSet set(random_params(11, 5, false));
  std::set<std::uint64_t> hashes;
  const std::vector<Genome> genomes = set.enumerate(1000);
  for (const Genome& genome : genomes) {
    hashes.insert(hash(genome));
    EXPECT_EQ(hash(genome), hash(Genome{genome.genes}));
  }
  EXPECT_EQ(hashes.size(), genomes.size());
}

TEST(ParamSet, TypedReadsGiveTheMeaningOfGenes) {
  const ParamSet set({{"n", IntegerRange{8, 32, 8}, {}},
                      {"k", Choices{{std::int64_t{3}, std::int64_t{5}}}, {}},
                      {"ratio", Choices{{0.25, 1.0}}, {}},
                      {"rate", RealRange{0.0, 1.0, false}, {}},
                      {"name", Choices{{std::string("x"), std::string("y")}}, {}}});
  const Genome genome{{2, 1, 0, 0.75, 1}};
  EXPECT_EQ(set.integer(genome, "n"), 24);
  EXPECT_EQ(set.integer(genome, "k"), 5);
  EXPECT_EQ(set.real(genome, "n"), 24.0);
  EXPECT_EQ(set.real(genome, "ratio"), 0.25);
  EXPECT_EQ(set.real(genome, "rate"), 0.75);
  EXPECT_EQ(set.text(genome, "name"), "y");
  EXPECT_DEATH(static_cast<void>(set.integer(genome, "ratio")), "not an integer");
  EXPECT_DEATH(static_cast<void>(set.real(genome, "name")), "not a number");
  EXPECT_DEATH(static_cast<void>(set.text(genome, "k")), "not a string");
  EXPECT_DEATH(static_cast<void>(set.integer(genome, "m")), "no parameter named m");
}

TEST(ParamSet, FeaturesHaveConstantLengthAndScaleToTheUnitInterval) {
  for (std::uint64_t space = 0; space < 50; ++space) {
    const ParamSet set(random_params(space, 6, true));
    RngStream rng(5, Purpose::test, space);
    const std::size_t length = set.features(set.sample(rng)).size();
    for (int trial = 0; trial < 30; ++trial) {
      const std::vector<double> features = set.features(set.sample(rng));
      ASSERT_EQ(features.size(), length);
      for (const double feature : features) {
        EXPECT_GE(feature, 0.0);
        EXPECT_LE(feature, 1.0);
      }
    }
  }
}

TEST(ParamSet, FeaturesScaleNumbersByValueAndTellActivity) {
  const ParamSet set({{"family", Choices{{std::string("a"), std::string("b")}}, {}},
                      {"width", Choices{{std::int64_t{8}, std::int64_t{16}, std::int64_t{40}}}, {"family", {1}}},
                      {"rate", RealRange{0.01, 1.0, true}, {}}});
  // family one-hot (2), width, width's activity, rate
  const std::vector<double> b = set.features({{1, 1, 0.1}});
  ASSERT_EQ(b.size(), 5U);
  EXPECT_EQ(b[0], 0.0);
  EXPECT_EQ(b[1], 1.0);
  EXPECT_EQ(b[2], 0.25);
  EXPECT_EQ(b[3], 1.0);
  EXPECT_NEAR(b[4], 0.5, 1e-12);
  EXPECT_EQ(set.features({{0, 0, 0.01}}), (std::vector<double>{1, 0, 0, 0, 0}));
}

TEST(ParamSet, PrefixedRenamesConditionsAndAddsThem) {
  const std::vector<Param> params{{"depth", IntegerRange{0, 2, 1}, {}},
                                  {"kernel", IntegerRange{3, 7, 2}, {"depth", {1}}}};
  const std::vector<Param> joined = prefixed(params, "cnn.", {"family", {0}});
  EXPECT_EQ(joined[0].name, "cnn.depth");
  EXPECT_EQ(joined[0].active_when, (Condition{"family", {0}}));
  EXPECT_EQ(joined[1].name, "cnn.kernel");
  EXPECT_EQ(joined[1].active_when, (Condition{"cnn.depth", {1}}));
}

struct BadParams {
  std::string what;
  std::vector<Param> params;
  std::string place;
  std::string message;
};

TEST(ParamSet, RefusesMalformedParametersNamingThem) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Param family{"family", Choices{{std::string("a"), std::string("b")}}, {}};
  const std::vector<BadParams> cases{
      {"no values", {{"x", Choices{}, {}}}, "/x", "no values"},
      {"mixed", {{"x", Choices{{std::int64_t{1}, std::string("a")}}, {}}}, "/x", "mixes"},
      {"repeated", {{"x", Choices{{std::int64_t{1}, 1.0}}, {}}}, "/x", "twice"},
      {"infinite choice", {{"x", Choices{{infinity}}, {}}}, "/x", "finite"},
      {"inverted", {{"x", IntegerRange{3, 2, 1}, {}}}, "/x", "minimum 3 above maximum 2"},
      {"step", {{"x", IntegerRange{1, 2, 0}, {}}}, "/x", "step 0"},
      {"beyond", {{"x", IntegerRange{0, std::int64_t{1} << 60, 1}, {}}}, "/x", "2^52"},
      {"inverted real", {{"x", RealRange{1.0, 0.5, false}, {}}}, "/x", "minimum 1"},
      {"infinite", {{"x", RealRange{0.0, infinity, false}, {}}}, "/x", "finite"},
      {"log of zero", {{"x", RealRange{0.0, 1.0, true}, {}}}, "/x", "above 0"},
      {"duplicate", {family, family}, "/family", "two parameters"},
      {"unnamed", {{"", IntegerRange{0, 1, 1}, {}}}, "", "no name"},
      {"unknown parent", {family, {"x", IntegerRange{0, 1, 1}, {"famly", {0}}}}, "/x", "did you mean \"family\""},
      {"later parent", {{"x", IntegerRange{0, 1, 1}, {"family", {0}}}, family}, "/x", "before it"},
      {"real parent", {{"r", RealRange{}, {}}, {"x", IntegerRange{0, 1, 1}, {"r", {0}}}}, "/x", "a real"},
      {"no such value", {family, {"x/y", IntegerRange{0, 1, 1}, {"family", {2}}}}, "/x~1y", "value number 2"},
  };
  for (const BadParams& bad : cases) {
    try {
      const ParamSet set(bad.params);
      ADD_FAILURE() << bad.what << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.place(), bad.place) << bad.what;
      EXPECT_NE(error.message().find(bad.message), std::string::npos) << bad.what << ": " << error.what();
    }
  }
}

}  // namespace
}  // namespace cosearch
