#include "trainer/store/slice_map.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "spaces/base/rng.hpp"
#include "tests/trainer/store/axes.hpp"

namespace cosearch {
namespace {

using graph::AxisFactor;
using graph::AxisSegment;
using graph::SliceRule;
using graph::WeightAxis;
using graph::WeightSpec;
using testing::axis;
using testing::centre;
using testing::leading;
using testing::resample;
using testing::select;
using testing::weight;

struct SpecPair {
  WeightSpec shared;
  WeightSpec subnet;
};

/// A random number from 1 to `most`.
std::int64_t draw(RngStream& rng, std::int64_t most) {
  return 1 + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most)));
}

SpecPair random_pair(RngStream& rng, bool with_resample) {
  SpecPair pair;
  pair.shared.name = pair.subnet.name = "w";
  const std::int64_t axes = draw(rng, 4);
  for (std::int64_t a = 0; a < axes; ++a) {
    WeightAxis shared_axis;
    WeightAxis subnet_axis;
    const std::int64_t segments = draw(rng, 2);
    for (std::int64_t s = 0; s < segments; ++s) {
      AxisSegment shared_segment;
      AxisSegment subnet_segment;
      const std::int64_t factors = draw(rng, 2);
      for (std::int64_t f = 0; f < factors; ++f) {
        const auto rule = static_cast<SliceRule>(rng.below(with_resample ? 5 : 3));
        AxisFactor shared{draw(rng, 4), rule, {}};
        AxisFactor subnet{graph::interpolates(rule) ? draw(rng, 5) : draw(rng, shared.extent), rule, {}};
        if (rule == SliceRule::select) {
          std::vector<std::int64_t> entries(static_cast<std::size_t>(shared.extent));
          std::iota(entries.begin(), entries.end(), std::int64_t{0});
          rng.shuffle(entries);
          entries.resize(static_cast<std::size_t>(subnet.extent));
          subnet.selected = entries;
        }
        shared_segment.push_back(shared);
        subnet_segment.push_back(subnet);
      }
      shared_axis.push_back(shared_segment);
      subnet_axis.push_back(subnet_segment);
    }
    if (subnet_axis.size() == 2 && rng.below(3) == 0) {
      subnet_axis.pop_back();  // a concatenation of fewer inputs
    }
    pair.shared.axes.push_back(shared_axis);
    pair.subnet.axes.push_back(subnet_axis);
  }
  return pair;
}

std::vector<float> random_values(RngStream& rng, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return static_cast<float>(rng.normal()); });
  return values;
}

/// The share of shared entry `s` in subnet entry `e` of one factor.
double factor_share(const AxisFactor& shared, const AxisFactor& subnet, std::int64_t s, std::int64_t e) {
  switch (subnet.rule) {
    case SliceRule::leading:
      return s == e ? 1.0 : 0.0;
    case SliceRule::centre:
      return s == e + (shared.extent - subnet.extent) / 2 ? 1.0 : 0.0;
    case SliceRule::select:
      return s == subnet.selected[static_cast<std::size_t>(e)] ? 1.0 : 0.0;
    case SliceRule::resample: {
      const double centre =
          (static_cast<double>(e) + 0.5) * static_cast<double>(shared.extent) / static_cast<double>(subnet.extent) -
          0.5;
      const double place = std::min(std::max(centre, 0.0), static_cast<double>(shared.extent - 1));
      return std::max(0.0, 1.0 - std::abs(place - static_cast<double>(s)));
    }
    case SliceRule::area: {
      const double ratio = static_cast<double>(shared.extent) / static_cast<double>(subnet.extent);
      const double begin = std::max(static_cast<double>(e) * ratio, static_cast<double>(s));
      const double end = std::min(static_cast<double>(e + 1) * ratio, static_cast<double>(s + 1));
      return std::max(0.0, end - begin);
    }
  }
  return 0.0;
}

std::int64_t segment_extent(const AxisSegment& segment) {
  std::int64_t extent = 1;
  for (const AxisFactor& factor : segment) {
    extent *= factor.extent;
  }
  return extent;
}

/// The share of shared position `s` in subnet position `e` of one axis.
double axis_share(const WeightAxis& shared, const WeightAxis& subnet, std::int64_t s, std::int64_t e) {
  std::size_t segment = 0;
  while (e >= segment_extent(subnet[segment])) {
    e -= segment_extent(subnet[segment]);
    s -= segment_extent(shared[segment]);
    ++segment;
  }
  if (s < 0 || s >= segment_extent(shared[segment])) {
    return 0.0;
  }
  double share = 1.0;
  for (std::size_t f = subnet[segment].size(); f-- > 0;) {
    const AxisFactor& from = shared[segment][f];
    const AxisFactor& to = subnet[segment][f];
    share *= factor_share(from, to, s % from.extent, e % to.extent);
    s /= from.extent;
    e /= to.extent;
  }
  return share;
}

/// The map as a dense matrix, entry by entry.
std::vector<double> dense_gather(const SpecPair& pair, const std::vector<float>& shared) {
  std::vector<double> out(static_cast<std::size_t>(pair.subnet.elements()), 0.0);
  for (std::size_t to = 0; to < out.size(); ++to) {
    for (std::size_t from = 0; from < shared.size(); ++from) {
      double share = 1.0;
      auto e = static_cast<std::int64_t>(to);
      auto s = static_cast<std::int64_t>(from);
      for (std::size_t a = pair.subnet.axes.size(); a-- > 0 && share != 0.0;) {
        const std::int64_t subnet_extent = graph::extent(pair.subnet.axes[a]);
        const std::int64_t shared_extent = graph::extent(pair.shared.axes[a]);
        share *= axis_share(pair.shared.axes[a], pair.subnet.axes[a], s % shared_extent, e % subnet_extent);
        e /= subnet_extent;
        s /= shared_extent;
      }
      out[to] += share * shared[from];
    }
  }
  return out;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * b[i];
  }
  return sum;
}

/// Random pairs small enough for the dense oracle.
std::vector<SpecPair> small_pairs(std::uint64_t index, bool with_resample) {
  RngStream rng(1, Purpose::test, index);
  std::vector<SpecPair> pairs;
  while (pairs.size() < 300) {
    SpecPair pair = random_pair(rng, with_resample);
    if (pair.shared.elements() <= 3'000 && pair.subnet.elements() <= 3'000) {
      pairs.push_back(std::move(pair));
    }
  }
  return pairs;
}

TEST(SliceMap, GatherMatchesTheDenseMatrixForAllRules) {
  RngStream rng(2, Purpose::test, 0);
  for (const SpecPair& pair : small_pairs(1, true)) {
    const SliceMap map(pair.shared, pair.subnet);
    const std::vector<float> shared = random_values(rng, map.shared_elements());
    std::vector<float> subnet(static_cast<std::size_t>(map.subnet_elements()));
    map.gather(shared, subnet);
    const std::vector<double> expected = dense_gather(pair, shared);
    for (std::size_t i = 0; i < subnet.size(); ++i) {
      ASSERT_NEAR(subnet[i], expected[i], 2e-6);
    }
  }
}

TEST(SliceMap, ScatterAddIsTheTransposeOfGather) {
  RngStream rng(3, Purpose::test, 0);
  for (const SpecPair& pair : small_pairs(2, true)) {
    const SliceMap map(pair.shared, pair.subnet);
    const std::vector<float> weights = random_values(rng, map.shared_elements());
    const std::vector<float> gradient = random_values(rng, map.subnet_elements());
    std::vector<float> slice(gradient.size());
    map.gather(weights, slice);
    std::vector<float> accumulated(weights.size(), 0.0F);
    map.scatter_add(gradient, accumulated);
    const double scale = std::sqrt(dot(slice, slice) * dot(gradient, gradient)) + 1.0;
    ASSERT_NEAR(dot(slice, gradient), dot(weights, accumulated), 1e-5 * scale);
  }
}

TEST(SliceMap, ScatterAddAddsToWhatIsThere) {
  const WeightSpec shared = weight("w", {axis({leading(3)})});
  const WeightSpec subnet = weight("w", {axis({leading(2)})});
  std::vector<float> into{10.0F, 20.0F, 30.0F};
  SliceMap(shared, subnet).scatter_add(std::vector<float>{1.0F, 2.0F}, into);
  EXPECT_EQ(into, (std::vector<float>{11.0F, 22.0F, 30.0F}));
}

TEST(SliceMap, ScatterPutsBackWhatGatherTookAndNothingElse) {
  RngStream rng(4, Purpose::test, 0);
  for (const SpecPair& pair : small_pairs(3, false)) {
    const SliceMap map(pair.shared, pair.subnet);
    ASSERT_TRUE(map.copies());
    const std::vector<float> before = random_values(rng, map.shared_elements());
    const std::vector<float> values = random_values(rng, map.subnet_elements());
    std::vector<float> after = before;
    map.scatter(values, after);
    std::vector<float> read(values.size());
    map.gather(after, read);
    ASSERT_EQ(read, values);
    std::size_t changed = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      changed += after[i] != before[i] ? 1 : 0;
    }
    ASSERT_EQ(changed, values.size());
  }
}

TEST(SliceMap, OfItsOwnShapeIsTheIdentity) {
  RngStream rng(5, Purpose::test, 0);
  for (const SpecPair& pair : small_pairs(4, true)) {
    const SliceMap map(pair.subnet, pair.subnet);
    const std::vector<float> values = random_values(rng, map.subnet_elements());
    std::vector<float> read(values.size());
    map.gather(values, read);
    ASSERT_EQ(read, values);
    ASSERT_TRUE(map.identity());
  }
}

TEST(SliceMap, TakesTheCentreOfAKernelAndTheLeadingChannels) {
  // (5, 5, 2, 3) -> (3, 3, 1, 2)
  const auto kernel = [](std::int64_t k, std::int64_t in, std::int64_t out) {
    return weight("w", {axis({centre(k)}), axis({centre(k)}), axis({leading(in)}), axis({leading(out)})});
  };
  const SliceMap map(kernel(5, 2, 3), kernel(3, 1, 2));
  std::vector<float> shared(150);
  std::iota(shared.begin(), shared.end(), 0.0F);
  std::vector<float> subnet(18);
  map.gather(shared, subnet);
  std::size_t at = 0;
  for (int y = 1; y < 4; ++y) {
    for (int x = 1; x < 4; ++x) {
      for (int c = 0; c < 2; ++c) {
        EXPECT_EQ(subnet[at++], static_cast<float>((y * 5 + x) * 6 + c));
      }
    }
  }
}

TEST(SliceMap, TakesLeadingHeadsOfPackedQkv) {
  // [3 | heads | head_dim]: [3 | 4 | 2] -> [3 | 2 | 2]
  const WeightSpec shared = weight("w", {axis({leading(3), leading(4), leading(2)})});
  const WeightSpec subnet = weight("w", {axis({leading(3), leading(2), leading(2)})});
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0F);
  std::vector<float> slice(12);
  SliceMap(shared, subnet).gather(values, slice);
  EXPECT_EQ(slice, (std::vector<float>{0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19}));
}

TEST(SliceMap, ASelectionCanBeSlicedByTheNamesOfItsEntries) {
  const WeightSpec shared = weight("w", {axis({select({1, 4, 6})})});
  const WeightSpec subnet = weight("w", {axis({select({6, 1})})});
  std::vector<float> slice(2);
  SliceMap(shared, subnet).gather(std::vector<float>{10.0F, 40.0F, 60.0F}, slice);
  EXPECT_EQ(slice, (std::vector<float>{60.0F, 10.0F}));
}

TEST(SliceMap, ResampledGridOfALinearFunctionStaysLinear) {
  const auto grid = [](std::int64_t side) {
    return weight("w", {axis({resample(side), resample(side)}), axis({leading(1)})});
  };
  std::vector<float> shared;
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      shared.push_back(static_cast<float>(2 * y + 3 * x));
    }
  }
  const SliceMap map(grid(8), grid(4));
  EXPECT_FALSE(map.copies());
  std::vector<float> subnet(16);
  map.gather(shared, subnet);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) {
      EXPECT_FLOAT_EQ(subnet[static_cast<std::size_t>(4 * y + x)],
                      static_cast<float>(2.0 * (2 * y + 0.5) + 3.0 * (2 * x + 0.5)));
    }
  }
}

TEST(SliceMapDeathTest, ForbiddenSlicesAbort) {
  const auto map = [](const AxisFactor& shared, const AxisFactor& subnet) {
    return SliceMap(weight("w", {axis({shared})}), weight("w", {axis({subnet})}));
  };
  EXPECT_DEATH(map(leading(2), leading(3)), "not larger");
  EXPECT_DEATH(map(leading(3), centre(3)), "one rule");
  EXPECT_DEATH(map(select({0, 1, 2}), select({3})), "lies in the shared");
  EXPECT_DEATH(map(select({0, 1, 2}), select({1, 1})), "selected once");
  EXPECT_DEATH(map(select({1, 1}), select({1})), "distinct");
  const SliceMap resampled = map(resample(4), resample(2));
  std::vector<float> shared(4);
  EXPECT_DEATH(resampled.scatter(std::vector<float>(2), shared), "cannot be written back");
  EXPECT_DEATH(resampled.scatter_add(std::vector<float>(3), shared), "do not fit");
}

}  // namespace
}  // namespace cosearch
