#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/quantize/fixed_point.hpp"

/// Rows of weights as integers; used by the files of this folder.
namespace cosearch::quantize {

/// Between two int8.
inline constexpr double kDifference = 255.0;

/// The weights of one output, and its bias.
struct RealRow {
  std::span<const float> weight;
  float bias = 0.0F;
};
/// Of `weights` [rows][...] and one bias for each row.
[[nodiscard]] std::vector<RealRow> real_rows(std::span<const float> weights, std::span<const float> biases);

/// The smallest scale of weights in `bits` for which a row's sum over int8 of scale `input_scale` stays below `most`,
/// and so does its bias, in integers. (Below 2^21 weights: half of `most` is left for what rounding adds.)
[[nodiscard]] double row_scale(const RealRow& row, double input_scale, std::int64_t bits, double most = kBits30);

struct IntegerRows {
  std::vector<std::int8_t> weight;
  std::vector<std::int32_t> bias;
  std::vector<double> bound;  ///< of the magnitude of a row's sum with its bias

  /// Appends a row; real weights are `scale` times the integers.
  void add(const RealRow& row, double scale, double input_scale, std::int64_t bits);
};

}  // namespace cosearch::quantize
