#include "trainer/data/mfcc.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "spaces/base/rng.hpp"

namespace cosearch {
namespace {

using std::numbers::pi;

std::complex<double> naive_transform(const std::vector<std::complex<double>>& values, std::size_t k) {
  std::complex<double> sum = 0.0;
  for (std::size_t n = 0; n < values.size(); ++n) {
    sum += values[n] *
           std::polar(1.0, -2.0 * pi * static_cast<double>(k * n % values.size()) / static_cast<double>(values.size()));
  }
  return sum;
}

TEST(FourierTransform, EqualsItsDefinition) {
  RngStream rng(1, Purpose::test, 0);
  for (const std::size_t size : {1U, 2U, 4U, 32U, 512U}) {
    std::vector<std::complex<double>> values(size);
    for (auto& value : values) {
      value = {rng.normal(), rng.normal()};
    }
    std::vector<std::complex<double>> fast = values;
    fourier_transform(fast);
    for (std::size_t k = 0; k < size; ++k) {
      ASSERT_LT(std::abs(fast[k] - naive_transform(values, k)), 1e-10) << size << " " << k;
    }
  }
}

/// Coefficient k of the frame that begins at `begin`, step by step from the definition in the header.
double naive_coefficient(const std::vector<float>& samples, std::size_t begin, int k) {
  std::vector<std::complex<double>> frame(512);
  for (std::size_t n = 0; n < 480; ++n) {
    frame[n] = samples[begin + n] * std::pow(std::sin(pi * static_cast<double>(n) / 480.0), 2);
  }
  const auto mel = [](double f) { return 1127.0 * std::log(1.0 + f / 700.0); };
  std::vector<double> corners;
  for (int i = 0; i < 42; ++i) {
    corners.push_back(mel(20.0) + (mel(4000.0) - mel(20.0)) * i / 41.0);
  }
  std::vector<double> bands(40, 0.0);
  for (std::size_t bin = 0; bin <= 256; ++bin) {
    const double magnitude = std::abs(naive_transform(frame, bin));
    const double place = mel(31.25 * static_cast<double>(bin));
    for (std::size_t band = 0; band < 40; ++band) {
      const double rising = (place - corners[band]) / (corners[band + 1] - corners[band]);
      const double falling = (corners[band + 2] - place) / (corners[band + 2] - corners[band + 1]);
      bands[band] += magnitude * std::max(0.0, std::min(rising, falling));
    }
  }
  double sum = 0.0;
  for (int n = 0; n < 40; ++n) {
    sum += std::log(bands[static_cast<std::size_t>(n)] + 1e-6) * std::cos(pi / 40.0 * (n + 0.5) * k);
  }
  return sum * std::sqrt(k == 0 ? 1.0 / 40.0 : 2.0 / 40.0);
}

TEST(Mfcc, EqualsItsDefinition) {
  RngStream rng(2, Purpose::test, 0);
  std::vector<float> samples(1'120);  // three frames
  for (float& sample : samples) {
    sample = static_cast<float>(0.1 * rng.normal());
  }
  std::vector<float> out(3 * 13);
  Mfcc(13).extract(samples, out);
  for (std::size_t frame = 0; frame < 3; ++frame) {
    for (int k = 0; k < 13; ++k) {
      ASSERT_NEAR(out[frame * 13 + static_cast<std::size_t>(k)], naive_coefficient(samples, 320 * frame, k), 1e-4);
    }
  }
}

TEST(Mfcc, ASecondGives49FramesAndSilenceStaysFinite) {
  EXPECT_EQ(Mfcc::frames(16'000), 49);
  EXPECT_EQ(Mfcc::frames(480), 1);
  EXPECT_EQ(Mfcc::frames(479), 0);
  std::vector<float> out(49 * 10);
  Mfcc(10).extract(std::vector<float>(16'000, 0.0F), out);
  EXPECT_NEAR(out[0], std::log(1e-6) * std::sqrt(40.0), 1e-4);
  EXPECT_NEAR(out[1], 0.0, 1e-4);
}

}  // namespace
}  // namespace cosearch
