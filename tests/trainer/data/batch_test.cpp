#include "trainer/data/batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <tuple>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

Dataset random_dataset(std::int64_t count, std::int64_t height, std::int64_t width, std::int64_t channels) {
  Dataset dataset{{height, width, channels}, 3, {}, {}};
  RngStream rng(7, Purpose::test, 0);
  for (std::int64_t i = 0; i < count * height * width * channels; ++i) {
    dataset.pixels.push_back(static_cast<std::uint8_t>(1 + rng.below(255)));  // never black
  }
  dataset.labels.assign(static_cast<std::size_t>(count), 0);
  return dataset;
}

std::vector<float> fill(const Dataset& dataset, const BatchSpec& spec, const std::vector<std::int64_t>& indices) {
  std::vector<float> out(indices.size() * static_cast<std::size_t>(graph::elements(spec.input)), -99.0F);
  fill_batch(dataset, spec, indices, out.data());
  return out;
}

float normalised(const BatchSpec& spec, double pixel) {
  return static_cast<float>((pixel / 255.0 - spec.mean) / spec.std_dev);
}

TEST(FillLabels, OfPatchesFollowEachOther) {
  constexpr std::int64_t kHeight = 6;
  constexpr std::int64_t kWidth = 9;
  constexpr std::int64_t kPatch = 3;
  Dataset dataset = random_dataset(4, kHeight, kWidth, 1);
  dataset.dense = true;
  dataset.classes = 256;
  dataset.labels = dataset.pixels;
  Dataset numbers = dataset;
  numbers.regression = true;
  numbers.values.assign(dataset.pixels.begin(), dataset.pixels.end());
  for (const bool flip : {false, true}) {
    const std::vector<std::int64_t> indices{2, 0, 3};
    BatchSpec spec{.input = {}, .shift = flip ? 2 : 0, .flip = flip, .seed = 4};
    std::vector<std::uint8_t> rows(3 * kHeight * kWidth);
    std::vector<std::uint8_t> patches(rows.size());
    std::vector<float> values(rows.size());
    fill_labels(dataset, spec, indices, rows);
    spec.label_patch = kPatch;
    fill_labels(dataset, spec, indices, patches);
    fill_values(numbers, spec, indices, values);
    for (std::int64_t i = 0; i < std::ssize(rows); ++i) {
      const std::int64_t sample = i / (kHeight * kWidth);
      const std::int64_t y = i / kWidth % kHeight;
      const std::int64_t x = i % kWidth;
      const std::int64_t patch = y / kPatch * (kWidth / kPatch) + x / kPatch;
      const std::int64_t at = sample * kHeight * kWidth + patch * kPatch * kPatch + y % kPatch * kPatch + x % kPatch;
      ASSERT_EQ(patches[static_cast<std::size_t>(at)], rows[static_cast<std::size_t>(i)]) << i;
      ASSERT_EQ(values[static_cast<std::size_t>(at)], static_cast<float>(rows[static_cast<std::size_t>(i)])) << i;
    }
  }
}

TEST(ReorderPixels, GivesTheOrderThatLabelsHave) {
  Dataset numbers = random_dataset(4, 12, 24, 1);
  numbers.dense = true;
  numbers.classes = 1;
  numbers.regression = true;
  RngStream rng(3, Purpose::test, 0);
  for (std::int64_t i = 0; i < 4 * 12 * 24; ++i) {
    numbers.values.push_back(static_cast<float>(rng.uniform()));
  }
  const std::vector<std::int64_t> indices{3, 0, 1};
  const auto filled = [&](std::int64_t patch) {
    std::vector<float> values(3 * 12 * 24);
    fill_values(numbers, {.input = {}, .label_patch = patch}, indices, values);
    return values;
  };
  for (const std::int64_t from : {1, 3, 4, 12}) {
    for (const std::int64_t to : {1, 2, 6, 4}) {
      std::vector<float> reordered(3 * 12 * 24);
      reorder_pixels(numbers.sample, 1, from, to, filled(from), reordered);
      EXPECT_EQ(reordered, filled(to)) << from << " to " << to;
      // What belongs to one pixel stays together: each number and its negative.
      std::vector<float> pairs;
      for (const float value : filled(from)) {
        pairs.insert(pairs.end(), {value, -value});
      }
      std::vector<float> moved(pairs.size());
      reorder_pixels(numbers.sample, 2, from, to, pairs, moved);
      for (std::size_t i = 0; i < reordered.size(); ++i) {
        ASSERT_EQ(moved[2 * i], reordered[i]);
        ASSERT_EQ(moved[2 * i + 1], -reordered[i]);
      }
    }
  }
}

TEST(FillBatch, EqualSizesCopyExactly) {
  const Dataset dataset = random_dataset(5, 4, 3, 2);
  const BatchSpec spec{.input = {4, 3, 2}, .mean = 0.3, .std_dev = 0.25};
  const std::vector<std::int64_t> indices{4, 0, 2};
  const std::vector<float> out = fill(dataset, spec, indices);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t source = static_cast<std::size_t>(indices[i / 24]) * 24 + i % 24;
    ASSERT_EQ(out[i], normalised(spec, dataset.pixels[source]));
  }
}

/// Bilinear interpolation as a sum over all pixels, weighted by the hat function of their distance.
double hat_interpolation(const Dataset& dataset, std::int64_t image, double y, double x, std::int64_t channel) {
  const std::int64_t height = dataset.sample[0];
  const std::int64_t width = dataset.sample[1];
  y = std::min(std::max(y, 0.0), static_cast<double>(height - 1));
  x = std::min(std::max(x, 0.0), static_cast<double>(width - 1));
  double sum = 0.0;
  for (std::int64_t i = 0; i < height; ++i) {
    for (std::int64_t j = 0; j < width; ++j) {
      const double weight = std::max(0.0, 1.0 - std::abs(y - static_cast<double>(i))) *
                            std::max(0.0, 1.0 - std::abs(x - static_cast<double>(j)));
      const std::int64_t at = ((image * height + i) * width + j) * dataset.sample[2] + channel;
      sum += weight * dataset.pixels[static_cast<std::size_t>(at)];
    }
  }
  return sum;
}

TEST(FillBatch, ResizesBilinearlyWithHalfPixelCentres) {
  const Dataset dataset = random_dataset(2, 7, 9, 2);
  for (const auto& [height, width] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{14, 18}, {5, 4}, {1, 1}, {7, 20}, {28, 9}, {6, 9}}) {
    const BatchSpec spec{.input = {height, width, 2}, .mean = 0.1, .std_dev = 0.5};
    const std::vector<float> out = fill(dataset, spec, {0, 1});
    std::size_t at = 0;
    for (std::int64_t image = 0; image < 2; ++image) {
      for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
          for (std::int64_t c = 0; c < 2; ++c) {
            const double v = (static_cast<double>(y) + 0.5) * 7.0 / static_cast<double>(height) - 0.5;
            const double u = (static_cast<double>(x) + 0.5) * 9.0 / static_cast<double>(width) - 0.5;
            ASSERT_NEAR(out[at++], (hat_interpolation(dataset, image, v, u, c) / 255.0 - 0.1) / 0.5, 2e-6);
          }
        }
      }
    }
  }
}

TEST(FillBatch, HalvingIsTheMeanOfFourPixels) {
  Dataset dataset{{2, 2, 1}, 2, {10, 20, 30, 80}, {0}};
  const BatchSpec spec{.input = {1, 1, 1}};
  EXPECT_FLOAT_EQ(fill(dataset, spec, {0})[0], 35.0F / 255.0F);
}

TEST(FillBatch, OneChannelIsRepeatedWhereTheNetworkHasMore) {
  const Dataset dataset = random_dataset(1, 3, 3, 1);
  for (const std::int64_t side : {3, 5}) {
    const std::vector<float> grey = fill(dataset, {.input = {side, side, 1}, .mean = 0.2}, {0});
    const std::vector<float> colour = fill(dataset, {.input = {side, side, 3}, .mean = 0.2}, {0});
    for (std::size_t i = 0; i < colour.size(); ++i) {
      ASSERT_EQ(colour[i], grey[i / 3]);
    }
  }
}

TEST(InputMismatch, NamesWhatDoesNotFit) {
  EXPECT_FALSE(input_mismatch({28, 28, 1}, {32, 20, 3}));
  EXPECT_FALSE(input_mismatch({32, 32, 3}, {24, 24, 3}));
  EXPECT_EQ(input_mismatch({32, 32, 3}, {32, 32, 1}), "the network's input has 1 channels, the images have 3");
  EXPECT_EQ(input_mismatch({28, 28, 1}, {784}),
            "the network's input has 1 dimensions, images need 3 (height, width, channels)");
}

struct Augmentation {
  std::int64_t down, right;
  bool mirror;
  auto operator<=>(const Augmentation&) const = default;
};

/// The augmentations that turn the sample into exactly `out`.
std::vector<Augmentation> explain(const Dataset& dataset, const BatchSpec& spec, std::int64_t index, const float* out) {
  const std::int64_t height = dataset.sample[0];
  const std::int64_t width = dataset.sample[1];
  const std::int64_t channels = dataset.sample[2];
  std::vector<Augmentation> found;
  for (std::int64_t down = -spec.shift; down <= spec.shift; ++down) {
    for (std::int64_t right = -spec.shift; right <= spec.shift; ++right) {
      for (const bool mirror : {false, true}) {
        bool same = true;
        for (std::int64_t i = 0; i < height * width * channels; ++i) {
          const std::int64_t y = i / channels / width - down;
          const std::int64_t x = i / channels % width - right;
          const bool inside = y >= 0 && y < height && x >= 0 && x < width;
          const std::int64_t column = mirror ? width - 1 - x : x;
          const std::int64_t at = ((index * height + y) * width + column) * channels + i % channels;
          const double pixel = inside ? dataset.pixels[static_cast<std::size_t>(at)] : 0.0;
          same = same && out[i] == normalised(spec, pixel);
        }
        if (same) {
          found.push_back({down, right, mirror});
        }
      }
    }
  }
  return found;
}

TEST(FillBatch, ShiftsAndFlipsAreExactAndCoverTheirRange) {
  const Dataset dataset = random_dataset(400, 5, 6, 2);
  const BatchSpec spec{.input = {5, 6, 2}, .mean = 0.4, .std_dev = 0.3, .shift = 2, .flip = true, .seed = 11};
  std::vector<std::int64_t> indices(400);
  std::iota(indices.begin(), indices.end(), 0);
  const std::vector<float> out = fill(dataset, spec, indices);
  std::map<Augmentation, int> seen;
  for (const std::int64_t index : indices) {
    const auto explanations = explain(dataset, spec, index, out.data() + index * 60);
    ASSERT_EQ(explanations.size(), 1U) << index;
    ++seen[explanations[0]];
  }
  EXPECT_EQ(seen.size(), 50U);  // 5 x 5 shifts, two orientations; 8 expected of each
  for (const auto& [augmentation, count] : seen) {
    EXPECT_LT(count, 25);
  }
}

TEST(FillBatch, AShiftBeyondTheImageLeavesBlack) {
  const Dataset dataset = random_dataset(40, 2, 2, 1);
  const BatchSpec spec{.input = {2, 2, 1}, .mean = 0.5, .shift = 9};
  int black = 0;
  for (std::int64_t index = 0; index < 40; ++index) {
    const std::vector<float> out = fill(dataset, spec, {index});
    black += std::all_of(out.begin(), out.end(), [](float value) { return value == -0.5F; }) ? 1 : 0;
  }
  EXPECT_GT(black, 20);
}

TEST(FillBatch, AugmentationDependsOnSeedEpochAndSampleAlone) {
  const Dataset dataset = random_dataset(30, 6, 6, 1);
  BatchSpec spec{.input = {6, 6, 1}, .shift = 2, .flip = true, .seed = 5, .epoch = 3};
  std::vector<std::int64_t> indices(30);
  std::iota(indices.begin(), indices.end(), 0);
  const std::vector<float> whole = fill(dataset, spec, indices);
  for (const std::int64_t index : {29, 0, 13, 13}) {  // in another order, alone, and twice
    const std::vector<float> one = fill(dataset, spec, {index});
    EXPECT_TRUE(std::equal(one.begin(), one.end(), whole.begin() + index * 36));
  }
  BatchSpec other_epoch = spec;
  other_epoch.epoch = 4;
  EXPECT_NE(fill(dataset, other_epoch, indices), whole);
  BatchSpec other_seed = spec;
  other_seed.seed = 6;
  EXPECT_NE(fill(dataset, other_seed, indices), whole);
}

TEST(FillBatch, AugmentsBeforeResizing) {
  const Dataset dataset = random_dataset(8, 6, 6, 1);
  const BatchSpec small{.input = {6, 6, 1}, .shift = 2, .flip = true, .seed = 5};
  BatchSpec large = small;
  large.input = {3, 3, 1};
  for (std::int64_t index = 0; index < 8; ++index) {
    const std::vector<float> source = fill(dataset, small, {index});
    const std::vector<float> halved = fill(dataset, large, {index});
    for (std::size_t i = 0; i < 9; ++i) {
      const std::size_t at = i / 3 * 12 + i % 3 * 2;
      ASSERT_NEAR(halved[i], (source[at] + source[at + 1] + source[at + 6] + source[at + 7]) / 4.0F, 1e-6);
    }
  }
}

TEST(EpochOrder, IsAPermutationThatChangesWithEpochAndSeed) {
  const std::vector<std::int64_t> order = epoch_order(1'000, 1, 0);
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < 1'000; ++i) {
    ASSERT_EQ(sorted[static_cast<std::size_t>(i)], i);
  }
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(epoch_order(1'000, 1, 0), order);
  EXPECT_NE(epoch_order(1'000, 1, 1), order);
  EXPECT_NE(epoch_order(1'000, 2, 0), order);
}

TEST(EpochOrder, OfASubsetKeepsItsMembers) {
  const std::vector<std::int64_t> samples{3, 14, 15, 92, 65};
  const std::vector<std::int64_t> order = epoch_order(samples, 9, 2);
  EXPECT_EQ(std::multiset<std::int64_t>(order.begin(), order.end()),
            std::multiset<std::int64_t>(samples.begin(), samples.end()));
}

TEST(EpochOrder, PutsEverySampleEverywhereEquallyOften) {
  std::vector<std::vector<int>> counts(4, std::vector<int>(4, 0));
  for (std::int64_t epoch = 0; epoch < 4'000; ++epoch) {
    const std::vector<std::int64_t> order = epoch_order(4, 5, epoch);
    for (std::size_t place = 0; place < 4; ++place) {
      ++counts[static_cast<std::size_t>(order[place])][place];
    }
  }
  for (const auto& row : counts) {
    for (const int count : row) {
      EXPECT_NEAR(count, 1'000, 5 * std::sqrt(4'000 * 0.25 * 0.75));  // five standard deviations
    }
  }
}

std::vector<int> counts_of(const std::vector<std::uint8_t>& labels, const std::vector<std::int64_t>& subset,
                           std::size_t classes) {
  std::vector<int> counts(classes);
  for (const std::int64_t index : subset) {
    ++counts[labels[static_cast<std::size_t>(index)]];
  }
  return counts;
}

TEST(BalancedSubset, TakesEqualNumbersOfUnequalClasses) {
  std::vector<std::uint8_t> labels;
  for (int i = 0; i < 900; ++i) {
    labels.push_back(static_cast<std::uint8_t>(i % 9 == 0 ? 2 : i % 9 < 4 ? 1 : 0));  // 500, 300, 100
  }
  EXPECT_EQ(counts_of(labels, balanced_subset(labels, 3, 90, 1), 3), (std::vector<int>{30, 30, 30}));
  EXPECT_EQ(counts_of(labels, balanced_subset(labels, 3, 92, 1), 3), (std::vector<int>{31, 31, 30}));
  EXPECT_EQ(counts_of(labels, balanced_subset(labels, 3, 600, 1), 3), (std::vector<int>{250, 250, 100}));
  EXPECT_EQ(counts_of(labels, balanced_subset(labels, 3, 850, 1), 3), (std::vector<int>{450, 300, 100}));
}

TEST(BalancedSubset, IsSortedDistinctNestedAndKeyedBySeed) {
  std::vector<std::uint8_t> labels;
  RngStream rng(3, Purpose::test, 1);
  for (int i = 0; i < 500; ++i) {
    labels.push_back(static_cast<std::uint8_t>(rng.below(5)));
  }
  const auto small = balanced_subset(labels, 5, 50, 8);
  const auto large = balanced_subset(labels, 5, 200, 8);
  EXPECT_EQ(small.size(), 50U);
  EXPECT_TRUE(std::is_sorted(small.begin(), small.end()));
  EXPECT_EQ(std::adjacent_find(small.begin(), small.end()), small.end());
  EXPECT_TRUE(std::includes(large.begin(), large.end(), small.begin(), small.end()));
  EXPECT_EQ(balanced_subset(labels, 5, 50, 8), small);
  EXPECT_NE(balanced_subset(labels, 5, 50, 9), small);
}

TEST(BalancedSubset, OfNothingOrTooMuchIsEverything) {
  const std::vector<std::uint8_t> labels{0, 1, 1, 0, 1};
  const std::vector<std::int64_t> all{0, 1, 2, 3, 4};
  EXPECT_EQ(balanced_subset(labels, 2, 0, 1), all);
  EXPECT_EQ(balanced_subset(labels, 2, 99, 1), all);
}

}  // namespace
}  // namespace cosearch
