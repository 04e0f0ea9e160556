#include "trainer/quantize/arithmetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "spaces/base/rng.hpp"
#include "trainer/quantize/kernels.hpp"

namespace cosearch::quantize {
namespace {

__extension__ using Wide = __int128;

RngStream stream(std::uint64_t index) { return RngStream(7, Purpose::test, index); }

double between(RngStream& rng, double low, double high) { return low + (high - low) * rng.uniform(); }

std::int8_t random_int8(RngStream& rng) { return static_cast<std::int8_t>(static_cast<int>(rng.below(256)) - 128); }

/// A number whose length in bits is drawn first, so that all magnitudes occur.
std::uint64_t any_magnitude(RngStream& rng, std::uint64_t most_bits) {
  const std::uint64_t bits = 1 + rng.below(most_bits);
  return (rng.next_u64() >> (64 - bits)) | (std::uint64_t{1} << (bits - 1));
}

// r = requantized(s, m, shift) is the integer with r - 1/2 <= s * m / 2^shift < r + 1/2.
TEST(Requantized, IsTheNearestIntegerHalvesUp) {
  RngStream rng = stream(1);
  for (int i = 0; i < 200'000; ++i) {
    const auto sum = static_cast<std::int32_t>(rng.next_u32());
    const auto multiplier = static_cast<std::int32_t>(rng.next_u32() >> 1);
    const int shift = 31 + static_cast<int>(rng.below(32));
    const Wide product = Wide{sum} * multiplier;
    const Wide result = requantized(sum, multiplier, shift);
    const Wide one = Wide{1} << shift;
    ASSERT_LE((2 * result - 1) * one, 2 * product) << sum << " * " << multiplier << " / 2^" << shift;
    ASSERT_LT(2 * product, (2 * result + 1) * one) << sum << " * " << multiplier << " / 2^" << shift;
  }
  EXPECT_EQ(requantized(3, 1, 1), 2);
  EXPECT_EQ(requantized(-3, 1, 1), -1);
}

TEST(Quantized, IsTheNearestStepAndIsClamped) {
  const Quantization q{0.5, 10};
  EXPECT_EQ(quantized(0.0, q), 10);
  EXPECT_EQ(quantized(0.25, q), 11) << "halves away from zero";
  EXPECT_EQ(quantized(-0.25, q), 9);
  EXPECT_EQ(quantized(1e9, q), 127);
  EXPECT_EQ(quantized(-1e9, q), -128);
  for (int value = -128; value <= 127; ++value) {
    EXPECT_EQ(quantized(real(static_cast<std::int8_t>(value), q), q), value);
  }
}

TEST(IntegerSquareRoot, IsExact) {
  const auto expect_root = [](std::uint64_t value) {
    // A double holds every uint32 and rounds its root correctly, so its floor is exact.
    const auto root = static_cast<std::uint32_t>(std::floor(std::sqrt(static_cast<double>(value))));
    ASSERT_EQ(integer_square_root(static_cast<std::uint32_t>(value)), root) << value;
  };
  for (std::uint64_t root = 1U << 15; root < 1U << 16; ++root) {
    for (const std::uint64_t value : {root * root, root * root + root, root * root + 2 * root}) {
      expect_root(value);
    }
    if (root > 1U << 15) {
      expect_root(root * root - 1);
    }
  }
  RngStream rng = stream(2);
  for (int i = 0; i < 200'000; ++i) {
    expect_root(std::max<std::uint64_t>(1U << 30, rng.next_u32()));
  }
}

// The root is rounded down by less than 1 of at least 2^15, its reciprocal by less than 1 of at least 2^15.
TEST(ReciprocalRoot, IsWithinTheRoundingsOfItsTwoSteps) {
  RngStream rng = stream(3);
  double low = 0.0, high = 0.0;
  const auto check = [&](std::uint64_t value) {
    const ReciprocalRoot root = reciprocal_root(value);
    EXPECT_LE(root.reciprocal, 1U << 16);
    const double error = std::ldexp(root.reciprocal, -root.shift) * std::sqrt(static_cast<double>(value)) - 1.0;
    low = std::min(low, error);
    high = std::max(high, error);
  };
  for (std::uint64_t value = 1; value < 10'000; ++value) {
    check(value);
  }
  for (int i = 0; i < 200'000; ++i) {
    check(any_magnitude(rng, 64));
  }
  std::printf("1 / sqrt: relative error from %.2g to %.2g\n", low, high);
  EXPECT_GT(low, -std::ldexp(1.0, -15));
  EXPECT_LT(high, std::ldexp(1.0, -15) + std::ldexp(1.0, -29));
}

TEST(Exponential, IsWithinNineOf100000AndFalls) {
  constexpr double kUnit = 1 << kExponentialBits;
  double worst = 0.0;
  for (std::int32_t exponent = 0; exponent < 1 << kExponentBits; ++exponent) {
    worst = std::max(worst, std::abs(exponential(exponent) / kUnit - std::exp2(-exponent / 1024.0)));
  }
  std::printf("2^-f: largest error %.3g\n", worst);
  EXPECT_LT(worst, 9e-5);
  EXPECT_EQ(exponential(0), 1 << kExponentialBits);
  for (std::int32_t exponent = 1; exponent < kLargestExponent; ++exponent) {
    ASSERT_LE(exponential(exponent), exponential(exponent - 1));
    // Whole octaves are shifts: less than one unit of the last place more.
    ASSERT_NEAR(exponential(exponent) / kUnit, std::exp2(-exponent / 1024.0),
                9e-5 * std::exp2(-(exponent >> kExponentBits)) + 1.0 / kUnit);
  }
}

/// Shares of real scores in base 2.
std::vector<double> exact_softmax(const std::vector<std::int32_t>& scores, double octaves_per_step) {
  const std::int32_t largest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> shares;
  double sum = 0.0;
  for (const std::int32_t score : scores) {
    shares.push_back(std::exp2((score - largest) * octaves_per_step));
    sum += shares.back();
  }
  for (double& share : shares) {
    share /= sum;
  }
  return shares;
}

// A weight is rounded to 1/255 of the largest one, and the exponentials are off by rounding of the exponent (2^-11
// octaves), by 9e-5 and by one unit of 2^-15 each; a weight of 255 stands for up to 256.
TEST(AttentionWeights, AreWithinOneStepOfDoubleForTheLargestScore) {
  RngStream rng = stream(4);
  double worst = 0.0;
  for (int i = 0; i < 2'000; ++i) {
    std::vector<std::int32_t> scores(1 + rng.below(200));
    const double spread = std::exp2(between(rng, 4.0, 20.0));
    for (std::int32_t& score : scores) {
      score = static_cast<std::int32_t>(spread * rng.normal());
    }
    const int shift = 31;
    const auto multiplier = static_cast<std::int32_t>(any_magnitude(rng, 26));
    std::vector<std::int8_t> weights(scores.size());
    attention_weights_row(scores.data(), multiplier, shift, static_cast<std::int64_t>(scores.size()), weights.data());
    const std::vector<double> exact = exact_softmax(scores, std::ldexp(multiplier, -shift - kExponentBits));
    const double largest = *std::max_element(exact.begin(), exact.end());
    EXPECT_EQ(*std::max_element(weights.begin(), weights.end()), kHighest);
    for (std::size_t j = 0; j < weights.size(); ++j) {
      worst = std::max(worst, std::abs((weights[j] - kLowest) / 256.0 - exact[j] / largest));
    }
  }
  std::printf("attention weights: largest error %.3g of the largest weight\n", worst);
  EXPECT_LT(worst, 1.0 / 256.0 + 1e-3);
}

// The reciprocal has 16 bits, the mean is rounded to 2^-16.
TEST(AttentionContext, IsTheWeightedMeanForAnyNumberOfTokens) {
  RngStream rng = stream(6);
  for (int i = 0; i < 500; ++i) {
    const auto tokens = static_cast<std::int64_t>(1 + rng.below(2'000));
    std::vector<std::int8_t> weights(static_cast<std::size_t>(tokens)), values(static_cast<std::size_t>(tokens));
    double sum = 0.0, total = 0.0;
    for (std::size_t j = 0; j < weights.size(); ++j) {
      weights[j] = j == 0 ? std::int8_t{127} : static_cast<std::int8_t>(static_cast<int>(rng.below(256)) - 128);
      values[j] = static_cast<std::int8_t>(static_cast<int>(rng.below(256)) - 128);
      sum += (weights[j] + 128.0) * values[j];
      total += weights[j] + 128.0;
    }
    std::int32_t mean = 0;
    attention_context_means(weights.data(), values.data(), 1, tokens, 1, &mean);
    EXPECT_NEAR(std::ldexp(mean, -kMeanBits), sum / total, std::abs(sum / total) * 1e-4 + 2e-5);
  }
}

// In real numbers: x = scale_x * (q - zero), y = (x - mean) / sqrt(variance + epsilon) * gain + shift; epsilon is what
// its integer stands for, which is coarse for rows of very few values.
TEST(LayerNorm, IsWithinOneStepOfDouble) {
  RngStream rng = stream(5);
  double worst = 0.0;
  for (int i = 0; i < 3'000; ++i) {
    const auto n = static_cast<std::int64_t>(1 + rng.below(300));
    const double step_in = between(rng, 0.01, 0.1), step_out = between(rng, 0.01, 0.05);
    std::vector<std::int8_t> x;
    std::vector<double> gain, offset;
    const bool narrow = rng.below(4) == 0;
    for (std::int64_t e = 0; e < n; ++e) {
      x.push_back(narrow ? static_cast<std::int8_t>(rng.below(3)) : random_int8(rng));
      gain.push_back(rng.normal());
      offset.push_back(0.2 * rng.normal());
    }
    QuantizedLayer layer;
    layer.shift = 30;
    const double count = static_cast<double>(n);
    layer.epsilon = std::llround(count * count * 1e-5 / (step_in * step_in));
    const double epsilon = static_cast<double>(layer.epsilon) * step_in * step_in / (count * count);
    const double unit = std::ldexp(1.0, layer.shift - kNormBits) / step_out;
    for (std::int64_t e = 0; e < n; ++e) {
      layer.multiplier.push_back(static_cast<std::int32_t>(std::lround(gain[static_cast<std::size_t>(e)] * unit)));
      layer.bias.push_back(static_cast<std::int32_t>(std::lround(offset[static_cast<std::size_t>(e)] * unit)));
    }
    const std::int32_t zero = static_cast<std::int32_t>(rng.below(21)) - 10;
    std::vector<std::int8_t> y(x.size());
    layer_norm_row(x.data(), layer, finish_of(layer, zero), n, y.data());
    double mean = 0.0, variance = 0.0;
    for (const std::int8_t value : x) {
      mean += value / count;
    }
    for (const std::int8_t value : x) {
      variance += (value - mean) * (value - mean) / count;
    }
    const double deviation = std::max(1e-12, std::sqrt(variance * step_in * step_in + epsilon));
    for (std::size_t e = 0; e < x.size(); ++e) {
      const double exact = zero + ((x[e] - mean) * step_in / deviation * gain[e] + offset[e]) / step_out;
      worst = std::max(worst, std::abs(y[e] - std::clamp(exact, -128.0, 127.0)));
    }
  }
  std::printf("layer norm: largest error %.3g steps\n", worst);
  EXPECT_LT(worst, 1.0);
}

TEST(LayerNorm, OfEqualValuesIsItsShift) {
  const std::vector<std::int8_t> x(8, 100);
  QuantizedLayer layer;
  layer.shift = 20;
  layer.multiplier.assign(8, 1 << 18);
  layer.bias.assign(8, 5 << (layer.shift - kNormBits));
  std::vector<std::int8_t> y(8);
  layer_norm_row(x.data(), layer, finish_of(layer, 3), 8, y.data());
  EXPECT_EQ(y, std::vector<std::int8_t>(8, 8));
}

}  // namespace
}  // namespace cosearch::quantize
