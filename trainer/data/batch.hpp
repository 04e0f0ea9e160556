#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"
#include "trainer/data/dataset.hpp"

/// From bytes to a network's input: which samples, in which order, with which augmentation. Everything here is a pure
/// function of its arguments, so chunks of a batch may be filled by any number of threads.
namespace cosearch {

struct BatchSpec {
  graph::Shape input;  ///< (height, width, channels) of the network
  double mean = 0.0;   ///< output = (pixel / 255 - mean) / std_dev
  double std_dev = 1.0;
  /// Each sample is moved by integers drawn evenly from [-shift, shift] down and to the right, in pixels of the data
  /// set (before the resizing); black pixels (0) move in.
  int shift = 0;
  bool flip = false;  ///< mirrored left-right with probability 1/2, before the shift
  /// Key of the augmentation: a sample's draws are a function of (seed, epoch, its index in the data set) alone.
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
  /// Labels of pixels are written square by square of so many pixels a side, squares and pixels in them row by row, as
  /// networks have them that give all pixels of a patch beside each other. 1: row by row. Divides height and width.
  std::int64_t label_patch = 1;
};

/// What a data set's samples cannot become, in one line; nothing when they can: any height and width can be reached,
/// the channels must be equal unless the sample has only one (it is then repeated).
[[nodiscard]] std::optional<std::string> input_mismatch(const graph::Shape& sample, const graph::Shape& input);

/// Writes the samples `indices` as (indices.size(), height, width, channels) floats. Equal sizes copy exactly; others
/// are resized bilinearly with half-pixel centres: output x reads the source at (x + 0.5) * width / width' - 0.5,
/// clamped to the image. Aborts when `input_mismatch` has something to say.
void fill_batch(const Dataset& dataset, const BatchSpec& spec, std::span<const std::int64_t> indices, float* out);

/// Writes the labels of the samples `indices`. Those of pixels move as `fill_batch` moves the pixels; 0 moves in.
void fill_labels(const Dataset& dataset, const BatchSpec& spec, std::span<const std::int64_t> indices,
                 std::span<std::uint8_t> out);
/// The same of the numbers of a regression.
void fill_values(const Dataset& dataset, const BatchSpec& spec, std::span<const std::int64_t> indices,
                 std::span<float> out);

/// Brings `channels` numbers for each pixel of samples of this shape from the order of one BatchSpec::label_patch into
/// that of another.
void reorder_pixels(const graph::Shape& sample, std::int64_t channels, std::int64_t from_patch, std::int64_t to_patch,
                    std::span<const float> from, std::span<float> to);

/// A permutation of `samples`, a function of (seed, epoch).
[[nodiscard]] std::vector<std::int64_t> epoch_order(std::vector<std::int64_t> samples, std::uint64_t seed,
                                                    std::int64_t epoch);
/// The same of 0 .. count - 1.
[[nodiscard]] std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch);

/// The indices, ascending, of `count` samples with classes as equal in number as the labels allow (remainders go to
/// the lower classes); 0 or more than there are: all. A function of (labels, count, seed); smaller subsets are
/// contained in larger ones.
[[nodiscard]] std::vector<std::int64_t> balanced_subset(std::span<const std::uint8_t> labels, std::int64_t classes,
                                                        std::int64_t count, std::uint64_t seed);
/// The same of a data set's samples; where each pixel has a label, or numbers are learned, all samples are of one
/// class.
[[nodiscard]] std::vector<std::int64_t> balanced_subset(const Dataset& dataset, std::int64_t count, std::uint64_t seed);

}  // namespace cosearch
