#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cfenv>
#include <limits>
#include <string>

#include "spaces/base/rng.hpp"
#include "tests/trainer/kernels/half_oracle.hpp"
#include "trainer/kernels/dense.hpp"
#include "trainer/kernels/fp16_mcu/round_to_half.hpp"
#include "trainer/net/aligned_floats.hpp"

namespace cosearch::kernels {
namespace {

using half_oracle::Pair;
using Floats = std::vector<float>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Backend {
  const Dense& dense;
  bool fp32_accumulation;
};
std::vector<Backend> backends() {
  std::vector<Backend> all;
  for (const Dense* engine : fp16_mcu_engines()) {
    all.push_back({*engine, false});
  }
  all.push_back({fp16_mcu_dense(Precision::fp16_mcu_fp32_accumulate), true});
  return all;
}

/// Any finite fp16 number, each as likely: sums overflow, cancel and become subnormal.
enum class Range { any, near_one };
Floats random_halves(std::int64_t count, std::uint64_t stream, Range range) {
  RngStream rng(20260102, Purpose::test, stream);
  Floats halves;
  while (static_cast<std::int64_t>(halves.size()) < count) {
    const auto bits = static_cast<std::uint16_t>(rng.below(65536));
    // Near one: eight fraction bits, so that products have ties.
    const float half =
        range == Range::any
            ? half_oracle::from_bits(bits)
            : half_oracle::from_bits(static_cast<std::uint16_t>((bits & 0x83FCU) | ((13U + (bits & 3U)) << 10U)));
    if (std::isfinite(half)) {
      halves.push_back(half);
    }
  }
  return halves;
}

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}
void expect_same(const float* actual, const Floats& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(same(actual[i], expected[i])) << "element " << i << " is " << actual[i] << " not " << expected[i];
  }
}

TEST(RoundToHalf, EveryHalfAndTheTiesBetweenThemRoundAsByExactIntegers) {
  for (std::uint32_t bits = 0; bits <= 0x7C00; ++bits) {
    const float half = half_oracle::from_bits(static_cast<std::uint16_t>(bits));
    const float next = half_oracle::from_bits(static_cast<std::uint16_t>(bits + 1));
    // 65536 would follow the largest number, were there no infinity.
    const float tie = bits == 0x7BFF ? 65520.0F : 0.5F * (half + next);
    for (const float x : {half, tie, std::nextafter(tie, 0.0F), std::nextafter(tie, 1e9F)}) {
      ASSERT_TRUE(same(round_to_half(x), half_oracle::to_half(static_cast<double>(x)))) << x;
      ASSERT_TRUE(same(round_to_half(-x), half_oracle::to_half(-static_cast<double>(x)))) << -x;
    }
    for (const double share : {1.0, 1.0 - 0x1p-20, 1.0 + 0x1p-20}) {
      const double x = share * static_cast<double>(tie);
      ASSERT_TRUE(same(static_cast<float>(round_to_half(x)), half_oracle::to_half(x))) << x;
    }
  }
}

TEST(RoundToHalf, AnyFloatRoundsAsByExactIntegers) {
  RngStream rng(1, Purpose::test, 0);
  for (int i = 0; i < 1'000'000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(rng.below(std::uint64_t{1} << 32U)));
    // Numbers below the oracle's unit become zero.
    const float expected =
        std::abs(x) < 0x1p-26F ? std::copysign(0.0F, x) : half_oracle::to_half(static_cast<double>(x));
    ASSERT_TRUE(same(round_to_half(x), expected)) << x;
  }
}

struct GemmCase {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
};

Floats gemm(const Dense& dense, const GemmCase& g, const Floats& a, const Floats& b, float alpha = 1.0F,
            float beta = 0.0F, Floats c = {}) {
  c.resize(at(g.m * g.n), std::numeric_limits<float>::quiet_NaN());
  dense.gemm(g.transpose_a, g.transpose_b, g.m, g.n, g.k, alpha, a.data(), g.transpose_a ? g.m : g.k, b.data(),
             g.transpose_b ? g.k : g.n, beta, c.data(), g.n);
  return c;
}

Floats expected_gemm(bool fp32_accumulation, const GemmCase& g, const Floats& a, const Floats& b) {
  Floats c;
  for (std::int64_t i = 0; i < g.m; ++i) {
    for (std::int64_t j = 0; j < g.n; ++j) {
      std::vector<Pair> pairs;
      for (std::int64_t l = 0; l < g.k; ++l) {
        pairs.push_back(
            {a[at(g.transpose_a ? l * g.m + i : i * g.k + l)], b[at(g.transpose_b ? j * g.k + l : l * g.n + j)]});
      }
      c.push_back(half_oracle::inner_product(pairs, fp32_accumulation));
    }
  }
  return c;
}

TEST(Fp16McuGemm, MatchesExactIntegersBitForBit) {
  for (const auto& [dense, fp32_accumulation] : backends()) {
    std::uint64_t stream = 0;
    for (const Range range : {Range::any, Range::near_one}) {
      for (const std::int64_t k : {1, 2, 3, 4, 17, 96}) {
        for (const int transposes : {0, 1, 2, 3}) {
          for (const auto& [m, n] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {13, 7}, {5, 33}, {14, 118}}) {
            const GemmCase g{m, n, k, (transposes & 1) != 0, (transposes & 2) != 0};
            const Floats a = random_halves(m * k, ++stream, range);
            const Floats b = random_halves(k * n, ++stream, range);
            SCOPED_TRACE(dense.name() + " m " + std::to_string(m) + " n " + std::to_string(n) + " k " +
                         std::to_string(k));
            ASSERT_NO_FATAL_FAILURE(
                expect_same(gemm(dense, g, a, b).data(), expected_gemm(fp32_accumulation, g, a, b)));
          }
        }
      }
    }
  }
}

TEST(Fp16McuGemm, MultiplyAddsRoundOnce) {
  // Two products for each lane: the first gives any number, the second meets it.
  const GemmCase g{96, 96, 4, false, false};
  for (const Dense* dense : fp16_mcu_engines()) {
    for (std::uint64_t round = 0; round < 20; ++round) {
      const Range range = round % 2 == 0 ? Range::any : Range::near_one;
      const Floats a = random_halves(g.m * g.k, 1000 + 2 * round, range);
      const Floats b = random_halves(g.k * g.n, 1001 + 2 * round, range);
      ASSERT_NO_FATAL_FAILURE(expect_same(gemm(*dense, g, a, b).data(), expected_gemm(false, g, a, b)));
    }
  }
}

TEST(Fp16McuGemm, InstructionSetsGiveTheSameBitsInLongSums) {
  const GemmCase g{37, 100, 1501, true, false};
  const Floats a = random_halves(g.m * g.k, 1, Range::near_one);
  const Floats b = random_halves(g.k * g.n, 2, Range::near_one);
  const std::vector<const Dense*> engines = fp16_mcu_engines();
  const Floats expected = gemm(*engines.back(), g, a, b);
  for (const Dense* dense : engines) {
    SCOPED_TRACE(dense->name());
    expect_same(gemm(*dense, g, a, b).data(), expected);
  }
}

TEST(Fp16McuGemm, SubnormalSumsRoundOnce) {
  // Products between 2^-28 and 2^-12, many of them half way between two multiples of 2^-24 or just beside.
  const GemmCase g{48, 48, 6, false, false};
  for (std::uint64_t round = 0; round < 10; ++round) {
    Floats a = random_halves(g.m * g.k, 2000 + 2 * round, Range::near_one);
    Floats b = random_halves(g.k * g.n, 2001 + 2 * round, Range::near_one);
    for (Floats* operand : {&a, &b}) {
      std::transform(operand->begin(), operand->end(), operand->begin(),
                     [](float x) { return half_oracle::to_half(static_cast<double>(x) * 0x1p-11); });
    }
    for (const Dense* dense : fp16_mcu_engines()) {
      SCOPED_TRACE(dense->name());
      ASSERT_NO_FATAL_FAILURE(expect_same(gemm(*dense, g, a, b).data(), expected_gemm(false, g, a, b)));
    }
  }
}

TEST(Fp16McuGemm, InfinitiesAndNaNGoTheSameWayWithEveryInstructionSet) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const GemmCase g{9, 35, 12, false, false};
  Floats a = random_halves(g.m * g.k, 1, Range::any);
  Floats b = random_halves(g.k * g.n, 2, Range::any);
  for (std::size_t i = 0; i < 5; ++i) {  // rows and columns of their own, which meet once each
    a[i * at(g.k) + i] = i % 2 == 0 ? kInfinity : -kInfinity;
    b[i * at(g.n) + 7 * i] = i == 4 ? std::numeric_limits<float>::quiet_NaN() : -kInfinity;
  }
  const std::vector<const Dense*> engines = fp16_mcu_engines();
  const Floats expected = gemm(*engines.back(), g, a, b);
  EXPECT_TRUE(std::any_of(expected.begin(), expected.end(), [](float x) { return std::isnan(x); }));
  EXPECT_TRUE(std::any_of(expected.begin(), expected.end(), [](float x) { return std::isinf(x); }));
  for (const Dense* dense : engines) {
    SCOPED_TRACE(dense->name());
    expect_same(gemm(*dense, g, a, b).data(), expected);
  }
}

TEST(Fp16McuGemm, LeavesTheRoundingModeOfTheThreadAlone) {
  const GemmCase g{3, 17, 4, false, false};
  const Floats a = random_halves(g.m * g.k, 1, Range::near_one);
  const Floats b = random_halves(g.k * g.n, 2, Range::near_one);
  for (const Dense* dense : fp16_mcu_engines()) {
    static_cast<void>(gemm(*dense, g, a, b));
    EXPECT_EQ(std::fegetround(), FE_TONEAREST) << dense->name();
  }
}

TEST(Fp16McuGemm, ScalesAndAddsInFp32AndRounds) {
  const GemmCase g{5, 20, 9, false, true};
  const Floats a = random_halves(g.m * g.k, 1, Range::near_one);
  const Floats b = random_halves(g.k * g.n, 2, Range::near_one);
  const Floats before = random_halves(g.m * g.n, 3, Range::near_one);
  for (const auto& [dense, fp32_accumulation] : backends()) {
    const Floats product = expected_gemm(fp32_accumulation, g, a, b);
    for (const auto& [alpha, beta] : {std::pair{1.0F, 1.0F}, {0.75F, 0.0F}, {-2.5F, 0.375F}}) {
      Floats expected;
      for (std::size_t i = 0; i < product.size(); ++i) {
        expected.push_back(half_oracle::to_half(static_cast<double>(alpha * product[i] + beta * before[i])));
      }
      expect_same(gemm(dense, g, a, b, alpha, beta, before).data(), expected);
    }
  }
}

TEST(Fp16McuGemm, LanesAndRoundingsAreThoseOfTheDefinition) {
  // 2048 + 1 is 2048 in fp16, so one lane would lose both ones; a lane of its own keeps them.
  const Floats ones(4, 1.0F);
  const GemmCase g{1, 1, 4, false, false};
  for (const auto& [dense, fp32_accumulation] : backends()) {
    EXPECT_EQ(gemm(dense, g, {2048.0F, 1.0F, 0.0F, 1.0F}, ones)[0], 2050.0F);
    EXPECT_EQ(gemm(dense, g, {2048.0F, 0.0F, 1.0F, 0.0F}, ones)[0], 2048.0F);
    EXPECT_EQ(gemm(dense, {1, 1, 6, false, false}, {2048.0F, 0.0F, 1.0F, 0.0F, 1.0F, 0.0F}, Floats(6, 1.0F))[0],
              fp32_accumulation ? 2050.0F : 2048.0F);
    EXPECT_EQ(gemm(dense, g, {0x1p-24F, 0.0F, 0.0F, 0.0F}, ones)[0], 0x1p-24F);  // the smallest subnormal
    EXPECT_EQ(gemm(dense, g, {65504.0F, 16.0F, 0.0F, 0.0F}, ones)[0], std::numeric_limits<float>::infinity());
    // Operands are rounded: 2049 is a tie between 2048 and 2050.
    EXPECT_EQ(gemm(dense, g, {2049.0F, 0.0F, 0.0F, 0.0F}, ones)[0], 2048.0F);
  }
}

TEST(Fp16McuLinear, MatchesExactIntegersBitForBit) {
  const LinearShape s{.rows = 21, .inputs = 19, .outputs = 35, .samples = 3};
  const Floats x = random_halves(s.rows * s.inputs, 1, Range::near_one);
  const Floats w = random_halves(s.inputs * s.outputs, 2, Range::near_one);
  const Floats bias = random_halves(s.outputs, 3, Range::near_one);
  const Floats dy = random_halves(s.rows * s.outputs, 4, Range::near_one);
  for (const auto& [dense, fp32_accumulation] : backends()) {
    Floats y = expected_gemm(fp32_accumulation, {s.rows, s.outputs, s.inputs, false, false}, x, w);
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = half_oracle::add(y[i], bias[i % bias.size()]);
    }
    const Floats dx = expected_gemm(fp32_accumulation, {s.rows, s.inputs, s.outputs, false, true}, dy, w);
    Floats dw;
    for (std::int64_t n = 0; n < s.samples; ++n) {
      const auto part = [&](const Floats& rows) {
        const auto size = static_cast<std::ptrdiff_t>(rows.size()) / s.samples;
        return Floats(rows.begin() + n * size, rows.begin() + (n + 1) * size);
      };
      const Floats sample =
          expected_gemm(fp32_accumulation, {s.inputs, s.outputs, s.rows / s.samples, true, false}, part(x), part(dy));
      for (std::size_t i = 0; i < sample.size(); ++i) {
        n == 0 ? dw.push_back(sample[i]) : static_cast<void>(dw[i] = half_oracle::add(dw[i], sample[i]));
      }
    }
    AlignedFloats packed(dense.linear_packed(s, Use::training));
    Floats actual_y(y.size()), actual_dx(dx.size()), actual_dw(dw.size());
    dense.linear_pack(s, Use::training, w.data(), packed.data());
    dense.linear_forward(s, x.data(), w.data(), packed.data(), bias.data(), actual_y.data(), nullptr);
    dense.linear_backward(s, x.data(), dy.data(), w.data(), packed.data(), actual_dx.data(), actual_dw.data(), nullptr);
    expect_same(actual_y.data(), y);
    expect_same(actual_dx.data(), dx);
    expect_same(actual_dw.data(), dw);
  }
}

void expect_conv_matches(ConvShape s, Range range) {
  s.out_height = (s.height + 2 * s.pad_top - s.kernel_h) / s.stride + 1;
  s.out_width = (s.width + 2 * s.pad_left - s.kernel_w) / s.stride + 1;
  const Floats x = random_halves(s.batch * s.height * s.width * s.channels, 1, range);
  const Floats w = random_halves(s.kernel_h * s.kernel_w * (s.channels / s.groups) * s.out_channels, 2, range);
  const Floats dy = random_halves(s.batch * s.out_height * s.out_width * s.out_channels, 3, range);
  for (const auto& [dense, fp32_accumulation] : backends()) {
    SCOPED_TRACE(dense.name());
    const half_oracle::Convolution expected = half_oracle::convolution(s, fp32_accumulation, x, w, dy);
    AlignedFloats packed(dense.conv2d_packed(s, Use::training));
    AlignedFloats inference(dense.conv2d_packed(s, Use::inference));
    Floats y(expected.y.size()), again(expected.y.size()), dx(x.size()), dw(w.size());
    dense.conv2d_pack(s, Use::training, w.data(), packed.data());
    dense.conv2d_pack(s, Use::inference, w.data(), inference.data());
    dense.conv2d_forward(s, x.data(), w.data(), packed.data(), y.data(), nullptr);
    dense.conv2d_forward(s, x.data(), w.data(), inference.data(), again.data(), nullptr);
    dense.conv2d_backward_data(s, dy.data(), w.data(), packed.data(), dx.data(), nullptr);
    dense.conv2d_backward_weights(s, x.data(), dy.data(), dw.data(), nullptr);
    expect_same(y.data(), expected.y);
    expect_same(again.data(), expected.y);
    expect_same(dx.data(), expected.dx);
    expect_same(dw.data(), expected.dw);
  }
}

ConvShape shape(std::int64_t channels, std::int64_t out_channels, std::int64_t kernel, std::int64_t stride,
                std::int64_t pad, std::int64_t groups = 1) {
  return {.batch = 2,
          .height = 7,
          .width = 6,
          .channels = channels,
          .out_channels = out_channels,
          .kernel_h = kernel,
          .kernel_w = kernel,
          .stride = stride,
          .pad_top = pad,
          .pad_left = pad,
          .groups = groups};
}

TEST(Fp16McuConv2d, DenseConvolutionsMatchExactIntegersBitForBit) {
  expect_conv_matches(shape(3, 16, 3, 1, 1), Range::near_one);
  expect_conv_matches(shape(3, 5, 3, 1, 1), Range::any);
  expect_conv_matches(shape(8, 20, 3, 2, 1), Range::near_one);
  expect_conv_matches(shape(2, 3, 2, 3, 0), Range::near_one);
  expect_conv_matches(shape(1, 4, 5, 2, 2), Range::near_one);
}

TEST(Fp16McuConv2d, StridesWithWholePairsMatchExactIntegersBitForBit) {
  expect_conv_matches(shape(17, 6, 3, 2, 1), Range::near_one);
  expect_conv_matches(shape(3, 4, 3, 2, 1), Range::any);
  expect_conv_matches(shape(3, 2, 2, 3, 0), Range::near_one);
  expect_conv_matches(shape(5, 8, 1, 2, 0), Range::near_one);
  expect_conv_matches(shape(6, 12, 3, 2, 1, 3), Range::near_one);
  expect_conv_matches(shape(2, 4, 5, 4, 2), Range::near_one);
}

TEST(Fp16McuConv2d, ZerosBetweenPixelsCountWhereALaneIsMinusZeroOrAWeightIsInfinite) {
  // One output row: the sum is -2^-24 * 2^-24 rounded to -0, then come taps of zeros.
  const ConvShape s{.batch = 1, .width = 3, .out_width = 2, .out_channels = 2, .kernel_w = 2, .stride = 2};
  for (const auto& [dense, fp32_accumulation] : backends()) {
    SCOPED_TRACE(dense.name());
    for (const float other : {1.0F, -1.0F, 70000.0F, -std::numeric_limits<float>::infinity()}) {
      const Floats w = {other, -1.0F, -0x1p-24F, -0x1p-24F};
      const Floats dy(4, 0x1p-24F);
      const half_oracle::Convolution expected =
          half_oracle::convolution(s, fp32_accumulation, Floats(3, 0.0F),
                                   {half_oracle::to_half(static_cast<double>(other)), w[1], w[2], w[3]}, dy);
      AlignedFloats packed(dense.conv2d_packed(s, Use::training));
      Floats dx(3);
      dense.conv2d_pack(s, Use::training, w.data(), packed.data());
      dense.conv2d_backward_data(s, dy.data(), w.data(), packed.data(), dx.data(), nullptr);
      expect_same(dx.data(), expected.dx);
    }
  }
}

TEST(Fp16McuConv2d, PointwiseAndGroupedConvolutionsMatchExactIntegersBitForBit) {
  expect_conv_matches(shape(8, 18, 1, 1, 0), Range::near_one);
  expect_conv_matches(shape(7, 18, 1, 1, 0), Range::near_one);
  expect_conv_matches(shape(6, 4, 1, 2, 0), Range::near_one);
  expect_conv_matches(shape(6, 12, 3, 1, 1, 3), Range::near_one);
  expect_conv_matches(shape(5, 15, 3, 2, 1, 5), Range::near_one);
}

TEST(Fp16McuConv2d, DepthwiseConvolutionsMatchExactIntegersBitForBit) {
  expect_conv_matches(shape(37, 37, 3, 1, 1, 37), Range::near_one);
  expect_conv_matches(shape(37, 37, 3, 1, 1, 37), Range::any);
  expect_conv_matches(shape(16, 16, 3, 2, 1, 16), Range::near_one);
  expect_conv_matches(shape(64, 64, 2, 2, 0, 64), Range::near_one);
  expect_conv_matches(shape(5, 5, 5, 3, 2, 5), Range::near_one);
}

TEST(Fp16McuConv2d, ManyTilesMatchExactIntegersBitForBit) {
  ConvShape s = shape(40, 2, 5, 1, 2);  // a tile has 65 windows
  s.batch = 1;
  s.height = 12;
  s.width = 11;
  expect_conv_matches(s, Range::near_one);
}

}  // namespace
}  // namespace cosearch::kernels
