#include "trainer/data/mfcc.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

constexpr double kLowest = 20.0;     // Hz
constexpr double kHighest = 4000.0;  // Hz
constexpr double kFloor = 1e-6;      // keeps the logarithm of silence finite
constexpr std::size_t kBins = Mfcc::kTransform / 2 + 1;

double mel(double frequency) { return 1127.0 * std::log1p(frequency / 700.0); }

std::vector<double> band_weights() {
  std::vector<double> weights(Mfcc::kBands * kBins);
  const double distance = (mel(kHighest) - mel(kLowest)) / (Mfcc::kBands + 1);
  for (std::size_t band = 0; band < Mfcc::kBands; ++band) {
    const double centre = mel(kLowest) + static_cast<double>(band + 1) * distance;
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      const double place = mel(static_cast<double>(bin) * Mfcc::kRate / Mfcc::kTransform);
      weights[band * kBins + bin] = std::max(0.0, 1.0 - std::abs(place - centre) / distance);
    }
  }
  return weights;
}

}  // namespace

void fourier_transform(std::span<std::complex<double>> values) {
  const std::size_t size = values.size();
  COSEARCH_CHECK(std::has_single_bit(size), "a power of two");
  for (std::size_t i = 1, reversed = 0; i < size; ++i) {
    std::size_t bit = size / 2;
    for (; (reversed & bit) != 0; bit /= 2) {
      reversed ^= bit;
    }
    reversed ^= bit;
    if (i < reversed) {
      std::swap(values[i], values[reversed]);
    }
  }
  for (std::size_t half = 1; half < size; half *= 2) {
    for (std::size_t k = 0; k < half; ++k) {
      const double angle = -std::numbers::pi * static_cast<double>(k) / static_cast<double>(half);
      const double cosine = std::cos(angle);
      const double sine = std::sin(angle);
      for (std::size_t at = k; at < size; at += 2 * half) {
        const std::complex<double> odd = values[at + half];
        // Written out: the complex product of the library looks for infinities.
        const std::complex<double> turned{odd.real() * cosine - odd.imag() * sine,
                                          odd.real() * sine + odd.imag() * cosine};
        values[at + half] = values[at] - turned;
        values[at] += turned;
      }
    }
  }
}

Mfcc::Mfcc(std::int64_t coefficients) : coefficients_(coefficients), bands_(band_weights()) {
  COSEARCH_CHECK(coefficients >= 1 && coefficients <= kBands, "number of coefficients");
  for (std::int64_t n = 0; n < kWindow; ++n) {
    window_.push_back(0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * static_cast<double>(n) / kWindow));
  }
  for (std::int64_t k = 0; k < coefficients; ++k) {
    const double scale = std::sqrt((k == 0 ? 1.0 : 2.0) / kBands);
    for (std::int64_t n = 0; n < kBands; ++n) {
      const double angle = std::numbers::pi * static_cast<double>(k) * (static_cast<double>(n) + 0.5) / kBands;
      dct_.push_back(scale * std::cos(angle));
    }
  }
}

void Mfcc::extract(std::span<const float> samples, std::span<float> out) const {
  const std::int64_t count = frames(static_cast<std::int64_t>(samples.size()));
  COSEARCH_CHECK(static_cast<std::int64_t>(out.size()) == count * coefficients_, "space for another number of frames");
  std::vector<std::complex<double>> spectrum(kTransform);
  std::vector<double> magnitudes(kBins);
  std::vector<double> energies(kBands);
  std::size_t at = 0;
  for (std::int64_t frame = 0; frame < count; ++frame) {
    std::fill(spectrum.begin(), spectrum.end(), 0.0);
    for (std::size_t n = 0; n < window_.size(); ++n) {
      spectrum[n] = window_[n] * samples[static_cast<std::size_t>(frame * kHop) + n];
    }
    fourier_transform(spectrum);
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      magnitudes[bin] = std::sqrt(std::norm(spectrum[bin]));
    }
    for (std::size_t band = 0; band < energies.size(); ++band) {
      double sum = 0.0;
      for (std::size_t bin = 0; bin < kBins; ++bin) {
        sum += bands_[band * kBins + bin] * magnitudes[bin];
      }
      energies[band] = std::log(sum + kFloor);
    }
    for (std::size_t k = 0; k < static_cast<std::size_t>(coefficients_); ++k, ++at) {
      double sum = 0.0;
      for (std::size_t band = 0; band < energies.size(); ++band) {
        sum += dct_[k * energies.size() + band] * energies[band];
      }
      out[at] = static_cast<float>(sum);
    }
  }
}

}  // namespace cosearch
