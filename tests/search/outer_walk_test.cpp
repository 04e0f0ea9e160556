#include "search/outer_walk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "tests/search/outer_space_example.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using testing_support::published_outer_space;

OuterSpace outer_of(const ParamSet& params, const json& outer = nullptr) {
  const auto reader = outer.is_null() ? std::nullopt : std::optional<JsonReader>(std::in_place, outer, "/outer");
  return {params, {}, reader};
}

/// Results whose illegal shares and errors are planes over the coordinates.
std::vector<OuterResult> planes(const OuterSpace& outer, const std::vector<OuterPoint>& points,
                                const std::array<double, 2>& illegal, const std::array<double, 2>& error) {
  std::vector<OuterResult> results;
  for (const OuterPoint& point : points) {
    const std::vector<double> at = outer.coordinates(point);
    results.push_back(
        {point, 1, 0.3 + illegal[0] * at[0] + illegal[1] * at[1], 0.4 + error[0] * at[0] + error[1] * at[1], 0.0});
  }
  return results;
}

/// Points of the published space as genes: patch 16 + 4 p, rank ratio 0.4 + 0.05 r.
const std::vector<OuterPoint> kAround{{2, 5}, {1, 5}, {2, 6}, {3, 4}, {1, 3}};

TEST(PlaneSlopes, SolveTheNormalEquations) {
  RngStream rng(1, Purpose::test, 0);
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::vector<std::vector<double>> points;
    std::vector<double> values;
    std::array<double, 3> mean{};
    for (int i = 0; i < 5; ++i) {
      points.push_back({rng.uniform(), rng.uniform()});
      values.push_back(rng.normal());
      mean[0] += points.back()[0] / 5.0;
      mean[1] += points.back()[1] / 5.0;
      mean[2] += values.back() / 5.0;
    }
    double xx = 0.0;
    double xy = 0.0;
    double yy = 0.0;
    double xz = 0.0;
    double yz = 0.0;
    for (std::size_t i = 0; i < 5; ++i) {
      const double x = points[i][0] - mean[0];
      const double y = points[i][1] - mean[1];
      const double z = values[i] - mean[2];
      xx += x * x;
      xy += x * y;
      yy += y * y;
      xz += x * z;
      yz += y * z;
    }
    const double determinant = xx * yy - xy * xy;
    const std::vector<double> slopes = plane_slopes(points, values);
    EXPECT_NEAR(slopes.at(0), (xz * yy - yz * xy) / determinant, 1e-9);
    EXPECT_NEAR(slopes.at(1), (yz * xx - xz * xy) / determinant, 1e-9);
  }
}

TEST(PlaneSlopes, AreTheFlattestWherePointsLeaveAChoice) {
  // All planes through both points have slopes a + b = 2.
  EXPECT_THAT(plane_slopes({{0.0, 0.0}, {1.0, 1.0}}, {3.0, 5.0}),
              testing::Pointwise(testing::DoubleNear(1e-12), {1.0, 1.0}));
  EXPECT_EQ(plane_slopes({{0.3, 0.7}}, {5.0}), (std::vector<double>{0.0, 0.0}));
  EXPECT_TRUE(plane_slopes({}, {}).empty());
}

TEST(OuterSpace, TakesNumericGenesOfEveryNetworkByTheirNames) {
  const ParamSet params{{{"a.patch", IntegerRange{4, 8, 2}, {}},
                         {"family", Choices{{std::string("x"), std::string("y")}}, {}},
                         {"x.rank_mlp", RealRange{0.1, 1.0}, {"family", {0}}},
                         {"rank_attn", RealRange{0.1, 1.0}, {}},
                         {"low_rank", Choices{{0.5}}, {}},
                         {"hw.patch", IntegerRange{4, 8, 2}, {}}}};
  const OuterSpace outer(params, {false, false, false, false, false, true}, std::nullopt);
  EXPECT_EQ(outer.axes(), 2U);  // low_rank has one value
  EXPECT_EQ(outer.point_of({{1, 0, 0.2, 0.75, 0, 2}}), (OuterPoint{1, 0.75}));
  EXPECT_THAT(outer.coordinates({1, 0.55}), testing::Pointwise(testing::DoubleNear(1e-12), {0.5, 0.5}));
}

TEST(OuterSpace, TiedGenesAreOneAxis) {
  const OuterSpace outer = outer_of(published_outer_space(), json::parse(R"(["patch", ["rank_attn", "rank_mlp"]])"));
  EXPECT_EQ(outer.axes(), 2U);
  Genome genome{{0, 0, 0, 0, 0, 0}};
  outer.place({3, 7}, genome);
  EXPECT_EQ(genome, (Genome{{3, 7, 7, 0, 0, 0}}));
  EXPECT_EQ(outer.point_of(genome), (OuterPoint{3, 7}));
  genome.genes[2] = 6;
  EXPECT_EQ(outer.point_of(genome), std::nullopt);
}

TEST(OuterSpace, RefusesWhatCannotBeWalked) {
  const ParamSet params{{{"family", Choices{{std::string("x"), std::string("y")}}, {}},
                         {"x.rank", IntegerRange{1, 4, 1}, {"family", {0}}},
                         {"patch", IntegerRange{1, 4, 1}, {}},
                         {"depth", IntegerRange{1, 5, 1}, {}}}};
  const auto message = [&](const char* outer) {
    try {
      static_cast<void>(outer_of(params, json::parse(outer)));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message(R"(["pach"])"), testing::HasSubstr("did you mean \"patch\"?"));
  EXPECT_THAT(message(R"(["patch", "family"])"), testing::HasSubstr("/outer/1: \"family\" has no order"));
  EXPECT_THAT(message(R"(["x.rank"])"), testing::HasSubstr("is not in every candidate"));
  EXPECT_THAT(message(R"([["patch", "depth"]])"), testing::HasSubstr("/outer/0/1: \"depth\" has other values"));
  EXPECT_THAT(message(R"(["patch", ["depth", "patch"]])"), testing::HasSubstr("is listed already"));
  EXPECT_THAT(message(R"([[]])"), testing::HasSubstr("at least one gene"));
  EXPECT_THAT(message(R"(7)"), testing::HasSubstr("a list of genes"));
}

TEST(OuterStep, CountsThresholdsOfBothPlanes) {
  const OuterSpace outer = outer_of(published_outer_space(), json::parse(R"(["patch", "rank_attn"])"));
  const auto step = [&](const std::array<double, 2>& illegal, const std::array<double, 2>& error, double scale = 1.0) {
    return outer.step({2, 5}, planes(outer, kAround, illegal, error), 5, scale);
  };
  EXPECT_EQ(step({0.0, 0.5}, {0.0, 0.0}), (OuterPoint{2, 3}));    // 2.5 thresholds of 0.2: two steps of 0.05 down
  EXPECT_EQ(step({0.0, 0.0}, {0.0, -0.35}), (OuterPoint{2, 8}));  // 3.5 thresholds of 10 %: three up
  EXPECT_EQ(step({0.0, 0.5}, {0.0, -0.35}), (OuterPoint{2, 6}));
  EXPECT_EQ(step({-2.5, 0.0}, {0.0, 0.0}), (OuterPoint{3, 5}));  // 1.25 thresholds of 2: one patch of 4 pixels more
  EXPECT_EQ(step({0.0, 0.0}, {0.45, 0.0}), (OuterPoint{0, 5}));  // 2.25 thresholds of 20 %
  EXPECT_EQ(step({0.0, 0.0}, {0.0, -35.0}, 100.0), (OuterPoint{2, 8}));
}

TEST(OuterStep, StaysWhereSlopesAreBelowTheThresholdsWhateverTheirSign) {
  const OuterSpace outer = outer_of(published_outer_space(), json::parse(R"(["patch", "rank_attn"])"));
  for (const double sign : {-1.0, 1.0}) {
    const auto results = planes(outer, kAround, {1.9 * sign, 0.19 * sign}, {0.19 * sign, 0.09 * sign});
    EXPECT_EQ(outer.step({2, 5}, results, 5, 1.0), (OuterPoint{2, 5}));
  }
}

TEST(OuterStep, IsClippedAndReachesTheNextValueHoweverCoarse) {
  const OuterSpace outer = outer_of(published_outer_space(), json::parse(R"(["patch", "rank_attn"])"));
  EXPECT_EQ(outer.step({2, 5}, planes(outer, kAround, {0.0, 50.0}, {0.0, 0.0}), 5, 1.0), (OuterPoint{2, 0}));
  const ParamSet coarse{{{"rank_attn", Choices{{0.9, 0.3, 0.6}}, {}}, {"rank_mlp", RealRange{0.0, 1.1}, {}}}};
  const OuterSpace of_coarse = outer_of(coarse);
  // 2.5 thresholds: 2 / 11 of the range; the values of the first axis are half a range apart, the second is continuous.
  const OuterPoint to =
      of_coarse.step({2, 0.55}, planes(of_coarse, {{2, 0.5}, {0, 0.6}, {1, 0.8}}, {0.5, 0.5}, {0.0, 0.0}), 5, 1.0);
  EXPECT_EQ(to[0], 1.0);
  EXPECT_NEAR(to[1], 0.35, 1e-9);
}

TEST(OuterStep, FitsTheNearestResultsOnlyAndErrorsWhereThereAreSome) {
  const OuterSpace outer = outer_of(published_outer_space(), json::parse(R"(["patch", "rank_attn"])"));
  std::vector<OuterResult> results = planes(outer, kAround, {0.0, 0.0}, {0.0, -0.35});
  results.push_back({{0, 0}, 1, 0.3, 90.0, 0.0});  // farther than the five
  results[1].error = std::nullopt;
  EXPECT_EQ(outer.step({2, 5}, results, 5, 1.0), (OuterPoint{2, 8}));
  EXPECT_NE(outer.step({2, 5}, results, 6, 1.0), (OuterPoint{2, 8}));
  for (OuterResult& result : results) {
    result.error = std::nullopt;
  }
  EXPECT_EQ(outer.step({2, 5}, results, 5, 1.0), (OuterPoint{2, 5}));
}

TEST(BestOuter, HasTheLowestErrorAmongPointsThatAreOftenLegal) {
  const std::vector<OuterResult> results{
      {{0}, 8, 0.2, 0.30, 0.0}, {{1}, 8, 0.5, 0.20, 0.0}, {{2}, 8, 0.7, 0.10, 0.0}, {{3}, 8, 1.0, {}, 0.4}};
  EXPECT_EQ(best_outer(results), 1U);  // 0.5 legal of at most 0.8; 0.3 is less than half of that
  const std::vector<OuterResult> hopeless{{{0}, 8, 1.0, {}, 0.5}, {{1}, 8, 1.0, {}, 0.2}, {{2}, 8, 1.0, {}, 0.2}};
  EXPECT_EQ(best_outer(hopeless), 1U);
}

}  // namespace
}  // namespace cosearch
