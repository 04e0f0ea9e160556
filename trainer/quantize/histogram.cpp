#include "trainer/quantize/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace cosearch::quantize {
namespace {

/// Kullback-Leibler divergence of the first `kept` bins, with the `clipped` values in the last of them, from what
/// `levels` levels keep of the bins.
double divergence(std::span<const std::int64_t> bins, std::size_t kept, std::size_t levels, std::int64_t clipped) {
  const auto inside = static_cast<double>(
      std::accumulate(bins.begin(), bins.begin() + static_cast<std::ptrdiff_t>(kept), std::int64_t{0}));
  const double all = inside + static_cast<double>(clipped);
  double sum = 0.0;
  for (std::size_t level = 0; level < levels; ++level) {
    const std::size_t begin = level * kept / levels;
    const std::size_t end = (level + 1) * kept / levels;
    double count = 0.0;
    double filled = 0.0;
    for (std::size_t bin = begin; bin < end; ++bin) {
      count += static_cast<double>(bins[bin]);
      filled += bins[bin] > 0 ? 1.0 : 0.0;
    }
    for (std::size_t bin = begin; bin < end; ++bin) {
      const double p = static_cast<double>(bins[bin] + (bin + 1 == kept ? clipped : 0)) / all;
      if (p > 0.0) {
        // Only what was clipped into an empty last bin has no level: one value stands for it, so that it is dear.
        const double q = (bins[bin] > 0 ? count / filled : 1.0) / std::max(inside, 1.0);
        sum += p * std::log(p / q);
      }
    }
  }
  return sum;
}

}  // namespace

void Histogram::add(std::span<const float> values) {
  const double bins_per_unit = static_cast<double>(kBins) / (high - low);
  for (const float value : values) {
    const double bin =
        std::clamp((static_cast<double>(value) - low) * bins_per_unit, 0.0, static_cast<double>(kBins - 1));
    ++counts[static_cast<std::size_t>(bin)];
  }
}

void Histogram::add(const Histogram& other) {
  std::transform(counts.begin(), counts.end(), other.counts.begin(), counts.begin(), std::plus<>());
}

double Histogram::lower_quantile(double share) const {
  const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  double below = 0.0;
  std::size_t bin = 0;
  while (bin + 1 < kBins && below + static_cast<double>(counts[bin]) <= share * all) {
    below += static_cast<double>(counts[bin]);
    ++bin;
  }
  return low + static_cast<double>(bin) * (high - low) / static_cast<double>(kBins);
}

double Histogram::upper_quantile(double share) const {
  Histogram mirrored{-high, -low, counts};
  std::reverse(mirrored.counts.begin(), mirrored.counts.end());
  return -mirrored.lower_quantile(share);
}

std::size_t least_divergence_cutoff(std::span<const std::int64_t> magnitudes, std::size_t levels) {
  std::size_t best = magnitudes.size();
  double least = std::numeric_limits<double>::infinity();
  std::int64_t clipped = 0;
  for (std::size_t kept = magnitudes.size(); kept >= levels; --kept) {
    if (const double found = divergence(magnitudes, kept, levels, clipped); found < least) {
      least = found;
      best = kept;
    }
    clipped += magnitudes[kept - 1];
  }
  return best;
}

}  // namespace cosearch::quantize
