#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace cosearch {

/// In place, without scaling: X[k] = sum over n of x[n] exp(-2 pi i k n / N). N is a power of two.
void fourier_transform(std::span<std::complex<double>> values);

/// Mel-frequency cepstral coefficients (Davis and Mermelstein, IEEE Trans. ASSP 28(4), 1980) of sound at 16 kHz.
/// Frame f begins at sample 320 f (a hop of 20 ms) and has 480 samples (30 ms), weighted by a periodic Hann window,
/// 0.5 - 0.5 cos(2 pi n / 480), and padded with zeros to 512. The magnitudes of its Fourier transform are summed in 40
/// triangular bands, whose 42 corners lie at equal distances on the scale mel = 1127 ln(1 + f / 700 Hz) from 20 Hz to
/// 4 kHz; the triangles are straight on that scale. The coefficients are the first of the orthonormal DCT-II of
/// ln(band + 1e-6). One second gives 49 frames; 10 coefficients make the 49 x 10 of MLPerf Tiny's keyword spotting.
class Mfcc {
 public:
  static constexpr std::int64_t kRate = 16'000;
  static constexpr std::int64_t kWindow = 480;
  static constexpr std::int64_t kHop = 320;
  static constexpr std::int64_t kTransform = 512;
  static constexpr std::int64_t kBands = 40;

  explicit Mfcc(std::int64_t coefficients);  ///< 1 to kBands

  [[nodiscard]] static constexpr std::int64_t frames(std::int64_t samples) {
    return samples < kWindow ? 0 : 1 + (samples - kWindow) / kHop;
  }
  /// Writes (frames, coefficients). Const, so threads may share one.
  void extract(std::span<const float> samples, std::span<float> out) const;

 private:
  std::int64_t coefficients_;
  std::vector<double> window_;  ///< (kWindow)
  std::vector<double> bands_;   ///< (kBands, kTransform / 2 + 1)
  std::vector<double> dct_;     ///< (coefficients, kBands)
};

}  // namespace cosearch
