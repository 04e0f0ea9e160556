#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace cosearch::quantize {

/// How often a value lay in each of equal bins from `low` to `high`.
struct Histogram {
  static constexpr std::size_t kBins = 2048;
  double low = 0.0, high = 0.0;
  std::array<std::int64_t, kBins> counts{};

  /// Values outside count in the outermost bins; low < high.
  void add(std::span<const float> values);
  void add(const Histogram& other);
  /// The outer edge of the bin in which, counted from below or from above, `share` of all values is reached.
  [[nodiscard]] double lower_quantile(double share) const;
  [[nodiscard]] double upper_quantile(double share) const;
};

/// The cut-off, `levels` to kBins bins of a histogram of magnitudes, whose distribution in `levels` levels is nearest
/// to that of the histogram by Kullback-Leibler divergence. What is cut off counts in the last bin that is kept; each
/// level stands for its bins that are not empty in equal parts.
[[nodiscard]] std::size_t least_divergence_cutoff(std::span<const std::int64_t> magnitudes, std::size_t levels);

}  // namespace cosearch::quantize
