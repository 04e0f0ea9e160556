#include "trainer/data/batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "spaces/base/check.hpp"
#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

/// Two neighbours of a resized row or column and the weight of the second.
struct Tap {
  std::int64_t low = 0;
  std::int64_t high = 0;
  float fraction = 0.0F;
};

std::vector<Tap> bilinear_taps(std::int64_t from, std::int64_t to) {
  std::vector<Tap> taps;
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const double place = std::clamp(centre, 0.0, static_cast<double>(from - 1));
    const auto low = static_cast<std::int64_t>(place);
    taps.push_back({low, std::min(low + 1, from - 1), static_cast<float>(place - static_cast<double>(low))});
  }
  return taps;
}

/// What one batch needs to know about turning bytes into floats.
struct Conversion {
  std::array<float, 256> level{};  // normalised value of a pixel
  std::vector<Tap> rows;
  std::vector<Tap> columns;
  std::int64_t sample_width = 0;
  std::int64_t sample_channels = 0;
  std::int64_t channels = 0;
  bool same_size = false;
};

Conversion make_conversion(const Dataset& dataset, const BatchSpec& spec) {
  Conversion conversion;
  for (std::size_t i = 0; i < conversion.level.size(); ++i) {
    conversion.level[i] = static_cast<float>((static_cast<double>(i) / 255.0 - spec.mean) / spec.std_dev);
  }
  conversion.rows = bilinear_taps(dataset.sample[0], spec.input[0]);
  conversion.columns = bilinear_taps(dataset.sample[1], spec.input[1]);
  conversion.sample_width = dataset.sample[1];
  conversion.sample_channels = dataset.sample[2];
  conversion.channels = spec.input[2];
  conversion.same_size = dataset.sample == spec.input;
  return conversion;
}

float* convert(const Conversion& conversion, std::span<const std::uint8_t> image, float* out) {
  if (conversion.same_size) {
    return std::transform(image.begin(), image.end(), out, [&](std::uint8_t p) { return conversion.level[p]; });
  }
  const bool replicate = conversion.sample_channels == 1;
  for (const Tap& row : conversion.rows) {
    for (const Tap& column : conversion.columns) {
      for (std::int64_t c = 0; c < conversion.channels; ++c) {
        const auto value = [&](std::int64_t y, std::int64_t x) {
          const std::int64_t at = (y * conversion.sample_width + x) * conversion.sample_channels + (replicate ? 0 : c);
          return conversion.level[image[static_cast<std::size_t>(at)]];
        };
        const float left = value(row.low, column.low);
        const float top = left + (value(row.low, column.high) - left) * column.fraction;
        const float low_left = value(row.high, column.low);
        const float bottom = low_left + (value(row.high, column.high) - low_left) * column.fraction;
        *out++ = top + (bottom - top) * row.fraction;
      }
    }
  }
  return out;
}

/// `from`, mirrored and moved by draws of the sample's own stream, into `to`.
template <class T>
void augment(const BatchSpec& spec, const graph::Shape& sample, std::int64_t index, const T* from, std::span<T> to) {
  RngStream rng(spec.seed, Purpose::augment,
                (static_cast<std::uint64_t>(spec.epoch) << 32U) | static_cast<std::uint64_t>(index));
  const auto draw_shift = [&]() -> std::int64_t {
    return static_cast<std::int64_t>(rng.below(2 * static_cast<std::uint64_t>(spec.shift) + 1)) - spec.shift;
  };
  const bool mirror = spec.flip && rng.below(2) == 1;
  const std::int64_t down = spec.shift > 0 ? draw_shift() : 0;
  const std::int64_t right = spec.shift > 0 ? draw_shift() : 0;
  const std::int64_t height = sample[0];
  const std::int64_t width = sample[1];
  const std::int64_t channels = sample[2];
  std::fill(to.begin(), to.end(), T{});
  for (std::int64_t y = std::max<std::int64_t>(0, down); y < std::min(height, height + down); ++y) {
    for (std::int64_t x = std::max<std::int64_t>(0, right); x < std::min(width, width + right); ++x) {
      const std::int64_t source_x = mirror ? width - 1 - (x - right) : x - right;
      std::copy_n(from + ((y - down) * width + source_x) * channels, channels, to.begin() + (y * width + x) * channels);
    }
  }
}

/// Rows of (height, width) as squares of `patch` pixels a side, one after the other.
template <class T>
void write_by_patches(const graph::Shape& sample, std::int64_t patch, std::span<const T> rows, std::span<T> out) {
  auto next = out.begin();
  for (std::int64_t top = 0; top < sample[0]; top += patch) {
    for (std::int64_t left = 0; left < sample[1]; left += patch) {
      for (std::int64_t y = top; y < top + patch; ++y) {
        next = std::copy_n(rows.begin() + y * sample[1] + left, patch, next);
      }
    }
  }
}

template <class T>
void fill_targets(const Dataset& dataset, std::span<const T> targets, const BatchSpec& spec,
                  std::span<const std::int64_t> indices, std::span<T> out) {
  const auto size = static_cast<std::size_t>(dataset.labels_per_sample());
  COSEARCH_CHECK(out.size() == indices.size() * size, "room for the labels of all samples");
  COSEARCH_CHECK(
      !dataset.dense || (dataset.sample[0] % spec.label_patch == 0 && dataset.sample[1] % spec.label_patch == 0),
      "patches cover the sample");
  const bool moves = dataset.dense && (spec.shift > 0 || spec.flip);
  const bool by_patches = dataset.dense && spec.label_patch > 1;
  std::vector<T> moved(moves ? size : 0);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    COSEARCH_CHECK(indices[i] >= 0 && indices[i] < dataset.size(), "sample index out of range");
    std::span<const T> from = targets.subspan(static_cast<std::size_t>(indices[i]) * size, size);
    const std::span<T> to = out.subspan(i * size, size);
    if (moves) {
      augment<T>(spec, {dataset.sample[0], dataset.sample[1], 1}, indices[i], from.data(), moved);
      from = moved;
    }
    if (by_patches) {
      write_by_patches(dataset.sample, spec.label_patch, from, to);
    } else {
      std::copy(from.begin(), from.end(), to.begin());
    }
  }
}

}  // namespace

std::optional<std::string> input_mismatch(const graph::Shape& sample, const graph::Shape& input) {
  if (input.size() != 3) {
    return fmt::format("the network's input has {} dimensions, images need 3 (height, width, channels)", input.size());
  }
  if (sample[2] != 1 && sample[2] != input[2]) {
    return fmt::format("the network's input has {} channels, the images have {}", input[2], sample[2]);
  }
  return std::nullopt;
}

void fill_batch(const Dataset& dataset, const BatchSpec& spec, std::span<const std::int64_t> indices, float* out) {
  COSEARCH_CHECK(!input_mismatch(dataset.sample, spec.input), "images do not fit the network's input");
  COSEARCH_CHECK(spec.std_dev > 0.0 && spec.shift >= 0 && spec.epoch >= 0 && spec.epoch < (std::int64_t{1} << 31U),
                 "batch spec out of range");
  const Conversion conversion = make_conversion(dataset, spec);
  const auto elements = static_cast<std::size_t>(graph::elements(dataset.sample));
  std::vector<std::uint8_t> augmented(spec.shift > 0 || spec.flip ? elements : 0);
  for (const std::int64_t index : indices) {
    COSEARCH_CHECK(index >= 0 && index < dataset.size(), "sample index out of range");
    std::span<const std::uint8_t> image(dataset.pixels.data() + static_cast<std::size_t>(index) * elements, elements);
    if (!augmented.empty()) {
      augment<std::uint8_t>(spec, dataset.sample, index, image.data(), augmented);
      image = augmented;
    }
    out = convert(conversion, image, out);
  }
}

void fill_labels(const Dataset& dataset, const BatchSpec& spec, std::span<const std::int64_t> indices,
                 std::span<std::uint8_t> out) {
  fill_targets<std::uint8_t>(dataset, dataset.labels, spec, indices, out);
}

void fill_values(const Dataset& dataset, const BatchSpec& spec, std::span<const std::int64_t> indices,
                 std::span<float> out) {
  fill_targets<float>(dataset, dataset.values, spec, indices, out);
}

void reorder_pixels(const graph::Shape& sample, std::int64_t channels, std::int64_t from_patch, std::int64_t to_patch,
                    std::span<const float> from, std::span<float> to) {
  const std::int64_t pixels = sample[0] * sample[1];
  COSEARCH_CHECK(from.size() == to.size() && from.size() % static_cast<std::size_t>(pixels * channels) == 0,
                 "as many numbers as the pixels have");
  std::vector<std::int64_t> rows(static_cast<std::size_t>(pixels));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  const auto order = [&](std::int64_t patch) {  // pixels by row, as the patches list them
    std::vector<std::int64_t> listed(rows.size());
    write_by_patches<std::int64_t>(sample, patch, rows, listed);
    return listed;
  };
  const std::vector<std::int64_t> wanted = order(to_patch);
  const std::vector<std::int64_t> given = order(from_patch);
  std::vector<std::int64_t> place(rows.size());  // of each pixel in what is given
  for (std::size_t i = 0; i < given.size(); ++i) {
    place[static_cast<std::size_t>(given[i])] = static_cast<std::int64_t>(i) * channels;
  }
  auto next = to.begin();
  for (auto begin = from.begin(); begin != from.end(); begin += pixels * channels) {
    for (const std::int64_t pixel : wanted) {
      next = std::copy_n(begin + place[static_cast<std::size_t>(pixel)], channels, next);
    }
  }
}

std::vector<std::int64_t> epoch_order(std::vector<std::int64_t> samples, std::uint64_t seed, std::int64_t epoch) {
  RngStream(seed, Purpose::shuffle, static_cast<std::uint64_t>(epoch)).shuffle(samples);
  return samples;
}

std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(count));
  std::iota(samples.begin(), samples.end(), std::int64_t{0});
  return epoch_order(std::move(samples), seed, epoch);
}

std::vector<std::int64_t> balanced_subset(std::span<const std::uint8_t> labels, std::int64_t classes,
                                          std::int64_t count, std::uint64_t seed) {
  const auto size = static_cast<std::int64_t>(labels.size());
  const std::int64_t wanted = count <= 0 ? size : std::min(count, size);
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    COSEARCH_CHECK(labels[i] < classes, "label out of range");
    members[labels[i]].push_back(static_cast<std::int64_t>(i));
  }
  for (std::size_t label = 0; label < members.size(); ++label) {
    RngStream(seed, Purpose::split, label).shuffle(members[label]);
  }
  // One of each class in turn, so that a class with few samples leaves its share to the others.
  std::vector<std::int64_t> chosen;
  for (std::size_t round = 0; static_cast<std::int64_t>(chosen.size()) < wanted; ++round) {
    for (const std::vector<std::int64_t>& class_members : members) {
      if (round < class_members.size() && static_cast<std::int64_t>(chosen.size()) < wanted) {
        chosen.push_back(class_members[round]);
      }
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<std::int64_t> balanced_subset(const Dataset& dataset, std::int64_t count, std::uint64_t seed) {
  if (dataset.dense || dataset.regression) {
    return balanced_subset(std::vector<std::uint8_t>(static_cast<std::size_t>(dataset.size()), 0), 1, count, seed);
  }
  return balanced_subset(dataset.labels, dataset.classes, count, seed);
}

}  // namespace cosearch
