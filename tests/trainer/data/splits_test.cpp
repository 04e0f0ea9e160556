#include "trainer/data/splits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/trainer/data/file_damage.hpp"

namespace cosearch {
namespace {

/// Samples of one pixel, their own number, ordered by class.
Dataset numbered(const std::vector<int>& counts) {
  Dataset data{{1, 1, 1}, std::ssize(counts), {}, {}};
  for (std::size_t label = 0; label < counts.size(); ++label) {
    for (int i = 0; i < counts[label]; ++i) {
      data.pixels.push_back(static_cast<std::uint8_t>(data.pixels.size()));
      data.labels.push_back(static_cast<std::uint8_t>(label));
    }
  }
  return data;
}

TEST(HoldOut, TakesItsShareOfEveryClassAndKeepsTheOrder) {
  for (const int count : {1, 7, 20, 50, 99}) {
    const Dataset all = numbered({60, 30, 10});
    Dataset train = all;
    const Dataset search = hold_out(train, count);
    ASSERT_EQ(search.size(), count);
    EXPECT_TRUE(std::is_sorted(search.pixels.begin(), search.pixels.end()));
    EXPECT_TRUE(std::is_sorted(train.pixels.begin(), train.pixels.end()));
    std::vector<std::uint8_t> together = train.pixels;
    together.insert(together.end(), search.pixels.begin(), search.pixels.end());
    std::sort(together.begin(), together.end());
    EXPECT_EQ(together, all.pixels);
    for (std::size_t label = 0; label < 3; ++label) {
      const double share = count * std::vector<double>{0.6, 0.3, 0.1}[label];
      EXPECT_NEAR(static_cast<double>(std::count(search.labels.begin(), search.labels.end(), label)), share, 1.0);
    }
    for (std::size_t i = 0; i < search.labels.size(); ++i) {
      EXPECT_EQ(search.labels[i], all.labels[search.pixels[i]]);
    }
  }
}

TEST(HoldOut, TakesATenthUnlessToldOtherwise) {
  Dataset train = numbered({40, 41});
  EXPECT_EQ(hold_out(train, std::nullopt).size(), 9);
}

TEST(ForEachSample, ThrowsTheErrorOfTheLowestIndex) {
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(testing::error_of([] {
                for_each_sample(1'000, [](std::int64_t i) {
                  if (i >= 137) {
                    throw ConfigError("", std::to_string(i));
                  }
                });
              }),
              "137");
  }
}

}  // namespace
}  // namespace cosearch
