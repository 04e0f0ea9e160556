#include <gtest/gtest.h>

#include <set>

#include "spaces/base/rng.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::ir {
namespace {

using Extents = std::vector<std::int64_t>;
using Points = std::set<std::vector<std::int64_t>>;

/// All index vectors that a tile touches, by running its loops.
Points touched(const Access& access, const Extents& origin, const Extents& tile) {
  Points points;
  Extents step(tile.size(), 0);
  while (true) {
    std::vector<std::int64_t> point;
    for (const AxisIndex& axis : access.axes) {
      std::int64_t index = axis.offset;
      for (const Term& term : axis.terms) {
        const auto loop = static_cast<std::size_t>(term.loop);
        index += term.coefficient * (origin[loop] + step[loop]);
      }
      point.push_back(index);
    }
    points.insert(point);
    std::size_t i = tile.size();
    while (i > 0 && ++step[i - 1] == tile[i - 1]) {
      step[--i] = 0;
    }
    if (i == 0) {
      return points;
    }
  }
}

std::int64_t enumerated(const Access& access, const Extents& tile) {
  return static_cast<std::int64_t>(touched(access, Extents(tile.size(), 0), tile).size());
}

std::int64_t enumerated_hull(const Access& access, const Extents& tile) {
  const Points points = touched(access, Extents(tile.size(), 0), tile);
  std::int64_t volume = 1;
  for (std::size_t a = 0; a < access.axes.size(); ++a) {
    std::set<std::int64_t> values;
    for (const auto& point : points) {
      values.insert(point[a]);
    }
    volume *= *values.rbegin() - *values.begin() + 1;
  }
  return volume;
}

std::int64_t enumerated_inside(const Access& access, const Extents& shape, const Extents& origin, const Extents& tile) {
  std::int64_t inside = 0;
  for (const auto& point : touched(access, origin, tile)) {
    bool legal = true;
    for (std::size_t a = 0; a < shape.size(); ++a) {
      legal = legal && point[a] >= 0 && point[a] < shape[a];
    }
    inside += legal ? 1 : 0;
  }
  return inside;
}

/// Axis 0: oy * stride + ky * dilation - padding; the loops are oy, ky.
Access window(std::int64_t stride, std::int64_t dilation, std::int64_t padding) {
  return {.tensor = 0, .axes = {{{{0, stride}, {1, dilation}}, -padding}}};
}

std::int64_t between(RngStream& rng, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
}

struct RandomTile {
  Access access;
  Extents tile;
  Extents origin;
  Extents shape;
};

/// `shared`: whether loops may feed several axes.
RandomTile random_tile(RngStream& rng, bool shared) {
  RandomTile random;
  const auto loops = static_cast<int>(between(rng, 1, 4));
  const std::int64_t axes = between(rng, 0, 3);
  for (int i = 0; i < loops; ++i) {
    random.tile.push_back(between(rng, 1, 5));
    random.origin.push_back(between(rng, 0, 4));
  }
  for (std::int64_t a = 0; a < axes; ++a) {
    AxisIndex axis;
    axis.offset = between(rng, -4, 4);
    for (int loop = 0; loop < loops; ++loop) {
      const bool here = shared ? rng.below(2) == 0 : loop % axes == a;
      if (here) {
        axis.terms.push_back({loop, between(rng, -4, 6)});
      }
    }
    if (!axis.terms.empty() && rng.below(8) == 0) {
      axis.terms.push_back(axis.terms.front());  // the same loop twice
    }
    random.access.axes.push_back(axis);
    random.shape.push_back(between(rng, 1, 20));
  }
  return random;
}

TEST(Footprint, ExactEqualsHullForDenseWindows) {
  for (std::int64_t kernel = 1; kernel <= 5; ++kernel) {
    for (std::int64_t stride = 1; stride <= kernel; ++stride) {
      for (std::int64_t outputs = 1; outputs <= 6; ++outputs) {
        const Access access = window(stride, 1, 1);
        const std::int64_t expected = (outputs - 1) * stride + kernel;
        EXPECT_EQ(footprint(access, {outputs, kernel}, FootprintKind::exact), expected);
        EXPECT_EQ(footprint(access, {outputs, kernel}, FootprintKind::hull), expected);
      }
    }
  }
}

TEST(Footprint, HullExceedsExactWhereTheStrideExceedsTheKernel) {
  const Access access = window(3, 1, 0);
  EXPECT_EQ(footprint(access, {4, 2}, FootprintKind::exact), 8);
  EXPECT_EQ(footprint(access, {4, 2}, FootprintKind::hull), 11);
}

TEST(Footprint, DilationLeavesHolesThatExactDoesNotCount) {
  const Access access = window(1, 4, 0);
  EXPECT_EQ(footprint(access, {2, 3}, FootprintKind::exact), 6);
  EXPECT_EQ(footprint(access, {2, 3}, FootprintKind::hull), 10);
}

TEST(Footprint, DiagonalHasOneElementPerIteration) {
  const Access diagonal{.tensor = 0, .axes = {{{{0, 1}}, 0}, {{{0, 1}}, 0}}};
  EXPECT_EQ(footprint(diagonal, {7}, FootprintKind::exact), 7);
  EXPECT_EQ(footprint(diagonal, {7}, FootprintKind::hull), 49);
}

TEST(Footprint, ScalarAndEmptyTiles) {
  EXPECT_EQ(footprint(Access{}, {}, FootprintKind::exact), 1);
  EXPECT_EQ(footprint(Access{}, {5}, FootprintKind::hull), 1);
  EXPECT_EQ(footprint(window(1, 1, 0), {0, 3}, FootprintKind::exact), 0);
  EXPECT_EQ(footprint(window(1, 1, 0), {0, 3}, FootprintKind::hull), 0);
}

class RandomFootprint : public testing::TestWithParam<bool> {};

TEST_P(RandomFootprint, MatchesEnumeration) {
  std::int64_t different = 0;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    RngStream rng{11, Purpose::test, i};
    const RandomTile random = random_tile(rng, GetParam());
    const std::int64_t exact = footprint(random.access, random.tile, FootprintKind::exact);
    const std::int64_t hull = footprint(random.access, random.tile, FootprintKind::hull);
    ASSERT_EQ(exact, enumerated(random.access, random.tile)) << "case " << i;
    ASSERT_EQ(hull, enumerated_hull(random.access, random.tile)) << "case " << i;
    different += exact < hull ? 1 : 0;
  }
  EXPECT_GT(different, 300) << "the cases hardly tell the two kinds apart";
}

TEST_P(RandomFootprint, InsideMatchesEnumeration) {
  std::int64_t cut = 0;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    RngStream rng{12, Purpose::test, i};
    const RandomTile random = random_tile(rng, GetParam());
    const Tensor tensor{.name = "x", .shape = random.shape};
    const std::int64_t expected = enumerated_inside(random.access, random.shape, random.origin, random.tile);
    ASSERT_EQ(footprint_inside(random.access, tensor, random.origin, random.tile), expected) << "case " << i;
    cut += expected > 0 && expected < enumerated(random.access, random.tile) ? 1 : 0;
  }
  EXPECT_GT(cut, 300) << "hardly any case lies across a border";
}

INSTANTIATE_TEST_SUITE_P(Loops, RandomFootprint, testing::Bool(),
                         [](const auto& row) { return row.param ? "FeedSeveralAxes" : "FeedOneAxis"; });

TEST(Footprint, AxesWithCollidingSharedTermsMatchEnumeration) {
  // No axis determines its loops: x[i+j, i+k].
  const Access access{.tensor = 0, .axes = {{{{0, 1}, {1, 1}}, 0}, {{{0, 1}, {2, 1}}, -1}}};
  const Extents tile{4, 3, 5};
  EXPECT_EQ(footprint(access, tile, FootprintKind::exact), enumerated(access, tile));
  const Tensor tensor{.name = "x", .shape = {5, 4}};
  EXPECT_EQ(footprint_inside(access, tensor, {0, 0, 0}, tile), enumerated_inside(access, {5, 4}, {0, 0, 0}, tile));
}

TEST(Footprint, LargeSeparableTilesNeedNoEnumeration) {
  // 2^20 x 2^20 x 2^10 values; an enumeration would not end.
  const Access access{.tensor = 0, .axes = {{{{0, 1 << 21}, {1, 1}}, 0}, {{{2, 3}}, 0}}};
  const Extents tile{1 << 20, 1 << 20, 1 << 10};
  EXPECT_EQ(footprint(access, tile, FootprintKind::exact), std::int64_t{1} << 50);
  const Tensor tensor{.name = "x", .shape = {std::int64_t{1} << 40, 3000}};
  // Half of the first axis's blocks, and 3 * t < 3000.
  EXPECT_EQ(footprint_inside(access, tensor, {0, 0, 0}, tile), (std::int64_t{1} << 39) * 1000);
}

TEST(Footprint, PaddedConvolutionTouchesOnlyTheImageInside) {
  // 3x3 window with padding 1 over an 8x8 image: the first row of outputs reads rows 0 and 1.
  const Access access{.tensor = 0, .axes = {{{{0, 1}, {2, 1}}, -1}, {{{1, 1}, {3, 1}}, -1}}};
  const Tensor image{.name = "x", .shape = {8, 8}};
  EXPECT_EQ(footprint_inside(access, image, {0, 0, 0, 0}, {1, 8, 3, 3}), 16);
  EXPECT_EQ(footprint_inside(access, image, {3, 0, 0, 0}, {1, 8, 3, 3}), 24);
  EXPECT_EQ(footprint_inside(access, image, {0, 0, 0, 0}, {8, 8, 3, 3}), 64);
}

TEST(FootprintDeathTest, AbortsOnOverflow) {
  const Access access{.tensor = 0, .axes = {{{{0, 1}}, 0}, {{{1, 1}}, 0}}};
  const Extents tile{std::int64_t{1} << 40, std::int64_t{1} << 40};
  EXPECT_DEATH((void)footprint(access, tile, FootprintKind::exact), "overflow");
  EXPECT_DEATH((void)footprint(access, tile, FootprintKind::hull), "overflow");
}

}  // namespace
}  // namespace cosearch::ir
