#include "search/levels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace cosearch {
namespace {

TEST(Levels, AreTheValuesOfSmallDomains) {
  const ParamSet params{{{"choice", Choices{{std::string("a"), std::string("b"), std::string("c")}}, {}},
                         {"small", IntegerRange{4, 10, 2}, {}},
                         {"most", IntegerRange{0, 31, 1}, {}}}};
  ASSERT_EQ(level_counts(params), (std::vector<std::size_t>{3, 4, 32}));
  RngStream rng{1, Purpose::test, 0};
  for (const Param& param : params.params()) {
    for (std::size_t level = 0; level < 3; ++level) {
      EXPECT_EQ(gene_of_level(param.domain, level, rng), static_cast<double>(level));
      EXPECT_EQ(level_of(param.domain, static_cast<double>(level)), level);
    }
  }
}

TEST(Levels, AreRunsOfNeighboursInLargeIntegerRanges) {
  // 100 values in runs of 4; 1001 values in runs of 32, the last of which has 9.
  const ParamSet params{{{"hundred", IntegerRange{1, 100, 1}, {}}, {"thousand", IntegerRange{0, 2000, 2}, {}}}};
  ASSERT_EQ(level_counts(params), (std::vector<std::size_t>{25, 32}));
  for (int gene = 0; gene < 100; ++gene) {
    EXPECT_EQ(level_of(params.params()[0].domain, gene), static_cast<std::size_t>(gene / 4));
  }
  RngStream rng{2, Purpose::test, 0};
  std::map<double, int> drawn;
  for (int i = 0; i < 900; ++i) {
    ++drawn[gene_of_level(params.params()[1].domain, 31, rng)];
  }
  ASSERT_EQ(drawn.size(), 9U);
  EXPECT_EQ(drawn.begin()->first, 992.0);
  for (const auto& [gene, count] : drawn) {
    EXPECT_NEAR(count, 100, 40) << gene;  // four standard deviations
  }
}

TEST(Levels, AreEqualIntervalsOfRealRanges) {
  const Domain linear = RealRange{-1.0, 3.0, false};
  const Domain logarithmic = RealRange{1e-3, 1e1, true};
  const Domain point = RealRange{2.0, 2.0, false};
  EXPECT_EQ(level_counts(ParamSet{{{"x", linear, {}}, {"y", logarithmic, {}}, {"z", point, {}}}}),
            (std::vector<std::size_t>{32, 32, 1}));
  EXPECT_EQ(level_of(linear, -1.0), 0U);
  EXPECT_EQ(level_of(linear, 3.0), 31U);
  EXPECT_EQ(level_of(linear, 1.01), 16U);
  EXPECT_EQ(level_of(logarithmic, 0.11), 16U);  // the middle, in the logarithm, is 0.1
  EXPECT_EQ(level_of(point, 2.0), 0U);
  RngStream rng{3, Purpose::test, 0};
  EXPECT_EQ(gene_of_level(point, 0, rng), 2.0);
  for (const Domain& domain : {linear, logarithmic}) {
    for (std::size_t level = 0; level < kMostLevels; ++level) {
      const double a = gene_of_level(domain, level, rng);
      const double b = gene_of_level(domain, level, rng);
      EXPECT_NE(a, b);
      EXPECT_EQ(level_of(domain, a), level);
      EXPECT_EQ(level_of(domain, b), level);
    }
  }
}

TEST(Levels, HoldTheLargestIntegers) {
  const Domain domain = IntegerRange{-(std::int64_t{1} << 52), std::int64_t{1} << 52, 1};
  EXPECT_EQ(level_counts(ParamSet{{{"x", domain, {}}}}).front(), 32U);
  EXPECT_EQ(level_of(domain, std::ldexp(1.0, 53)), 31U);
}

}  // namespace
}  // namespace cosearch
