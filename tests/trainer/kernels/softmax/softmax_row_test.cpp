#include "trainer/kernels/softmax/softmax_row.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "tests/trainer/kernels/naive_kernels.hpp"

namespace cosearch::kernels {
namespace {

using naive::at;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::array kAlgorithms = {SoftmaxAlgorithm::three_pass_recompute, SoftmaxAlgorithm::three_pass_reload,
                                    SoftmaxAlgorithm::two_pass, SoftmaxAlgorithm::blocked_online};

/// Every algorithm, store and instruction set of this machine.
template <class Body>
void for_every_variant(const Body& body) {
  for (const InstructionSet set : supported_instruction_sets()) {
    for (const SoftmaxAlgorithm algorithm : kAlgorithms) {
      for (const Stores stores : {Stores::cached, Stores::non_temporal}) {
        SCOPED_TRACE(std::string(to_string(set)) + " " + std::string(to_string(algorithm)) +
                     (stores == Stores::non_temporal ? " non_temporal" : ""));
        body(SoftmaxMethod{algorithm, stores}, set);
      }
    }
  }
}

std::vector<float> random_row(std::int64_t n, float spread, std::uint64_t stream) {
  RngStream rng(20260102, Purpose::test, stream);
  std::vector<float> x(at(n));
  std::generate(x.begin(), x.end(), [&] { return spread * static_cast<float>(2.0 * rng.uniform() - 1.0); });
  return x;
}

/// By the definition, in double precision.
std::vector<double> naive_softmax(const std::vector<float>& x, double scale) {
  const double largest = static_cast<double>(*std::max_element(x.begin(), x.end()));
  std::vector<double> y(x.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    y[i] = std::exp(scale * (static_cast<double>(x[i]) - largest));
    sum += y[i];
  }
  for (double& value : y) {
    value /= sum;
  }
  return y;
}

/// Relative to each element; what is below the normal numbers of single precision may be 0.
void expect_close(const std::vector<float>& actual, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], tolerance * expected[i] + 1e-37) << "element " << i;
  }
}

std::vector<float> softmax_of(SoftmaxMethod method, InstructionSet set, const std::vector<float>& x,
                              float scale = 1.0F) {
  std::vector<float> y(x.size(), kNan);
  softmax_row(method, set, static_cast<std::int64_t>(x.size()), scale, x.data(), y.data());
  return y;
}

TEST(SoftmaxRow, MatchesTheDefinitionForEveryLength) {
  for_every_variant([](SoftmaxMethod method, InstructionSet set) {
    for (std::int64_t n = 1; n <= 200; ++n) {
      const std::vector<float> x = random_row(n, 10.0F, 1);
      expect_close(softmax_of(method, set, x), naive_softmax(x, 1.0), 2e-6);
    }
  });
}

TEST(SoftmaxRow, MatchesTheDefinitionOverManyBlocks) {
  for (const float spread : {0.5F, 10.0F, 80.0F}) {
    const std::vector<float> x = random_row(100'003, spread, 2);
    const std::vector<double> expected = naive_softmax(x, 0.25);
    for_every_variant([&](SoftmaxMethod method, InstructionSet set) {
      expect_close(softmax_of(method, set, x, 0.25F), expected, 3e-6);
    });
  }
}

TEST(SoftmaxRow, WritesNothingBesideTheRowAtAnyAlignment) {
  constexpr std::int64_t kMargin = 32;
  for_every_variant([](SoftmaxMethod method, InstructionSet set) {
    for (std::int64_t offset = 0; offset < 17; ++offset) {
      for (const std::int64_t n : {1, 5, 16, 31, 100}) {
        const std::vector<float> x = random_row(n, 4.0F, 3);
        AlignedFloats memory(n + 2 * kMargin);
        std::fill_n(memory.data(), memory.size(), 7.0F);
        float* y = memory.data() + kMargin - offset;
        softmax_row(method, set, n, 1.0F, x.data(), y);
        const std::vector<float> inside(y, y + n);
        EXPECT_EQ(inside, softmax_of(method, set, x)) << "the bits depend on the alignment";
        EXPECT_EQ(std::count(memory.data(), memory.data() + memory.size(), 7.0F), memory.size() - n);
      }
    }
  });
}

TEST(SoftmaxRow, WorksInPlace) {
  const std::vector<float> x = random_row(10'007, 6.0F, 4);
  for_every_variant([&](SoftmaxMethod method, InstructionSet set) {
    std::vector<float> y = x;
    softmax_row(method, set, static_cast<std::int64_t>(y.size()), 1.0F, y.data(), y.data());
    EXPECT_EQ(y, softmax_of(method, set, x));
  });
}

TEST(SoftmaxRow, NonTemporalStoresKeepTheBits) {
  const std::vector<float> x = random_row(30'001, 12.0F, 5);
  for (const InstructionSet set : supported_instruction_sets()) {
    for (const SoftmaxAlgorithm algorithm : kAlgorithms) {
      EXPECT_EQ(softmax_of({algorithm, Stores::cached}, set, x), softmax_of({algorithm, Stores::non_temporal}, set, x));
    }
  }
}

TEST(SoftmaxRow, InstructionSetsAgreeInAllButTheLastPlaces) {
  const std::vector<float> x = random_row(20'011, 10.0F, 6);
  for (const SoftmaxAlgorithm algorithm : kAlgorithms) {
    const std::vector<float> portable = softmax_of({algorithm, Stores::cached}, InstructionSet::portable, x);
    for (const InstructionSet set : supported_instruction_sets()) {
      const std::vector<float> y = softmax_of({algorithm, Stores::cached}, set, x);
      for (std::size_t i = 0; i < y.size(); ++i) {
        ASSERT_NEAR(y[i] / portable[i], 1.0F, 24.0F * std::numeric_limits<float>::epsilon()) << to_string(set);
      }
    }
  }
}

TEST(SoftmaxRow, HugeNumbersNeitherOverflowNorVanish) {
  const auto check = [](const std::vector<float>& x, const std::vector<double>& expected) {
    for_every_variant(
        [&](SoftmaxMethod method, InstructionSet set) { expect_close(softmax_of(method, set, x), expected, 1e-6); });
  };
  check({1e30F, -1e30F, 1e30F}, {0.5, 0.0, 0.5});
  check({1e30F, 9e29F}, {1.0, 0.0});
  check({-1e30F, -1e30F}, {0.5, 0.5});
  check({-1e30F}, {1.0});
  check(std::vector<float>(37, 300.0F), std::vector<double>(37, 1.0 / 37.0));
  check({1000.0F, 1001.0F, 0.0F}, naive_softmax({1000.0F, 1001.0F, 0.0F}, 1.0));
  check({-5000.0F, -5001.5F, -6000.0F}, naive_softmax({-5000.0F, -5001.5F, -6000.0F}, 1.0));
}

TEST(SoftmaxRow, MaskedElementsGetExactlyNothing) {
  for (const std::int64_t n : {3, 20, 150, 9'000}) {
    std::vector<float> x = random_row(n, 3.0F, 7);
    for (std::size_t i = 0; i < x.size(); i += 3) {
      x[i] = -kInfinity;
    }
    std::fill_n(x.begin(), x.size() / 2, -kInfinity);  // whole vectors and whole blocks, too
    for_every_variant([&](SoftmaxMethod method, InstructionSet set) {
      const std::vector<float> y = softmax_of(method, set, x);
      expect_close(y, naive_softmax(x, 1.0), 2e-6);
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(y[i] == 0.0F, x[i] == -kInfinity);
      }
    });
  }
}

TEST(SoftmaxRow, ARowWithoutASoftmaxIsNanThroughout) {
  for (const std::int64_t n : {1, 33, 9'000}) {
    std::vector<std::vector<float>> rows(4, random_row(n, 3.0F, 8));
    rows[0].front() = kNan;
    rows[1].back() = kNan;
    rows[2][rows[2].size() / 2] = kInfinity;
    rows[3].assign(at(n), -kInfinity);
    // The largest element long after the NaN and far above it must not wipe it out.
    rows[0].back() = n > 1 ? 1e5F : kNan;
    for_every_variant([&](SoftmaxMethod method, InstructionSet set) {
      for (const std::vector<float>& x : rows) {
        for (const float value : softmax_of(method, set, x)) {
          ASSERT_TRUE(std::isnan(value)) << n;
        }
      }
    });
  }
}

TEST(SoftmaxShortRows, MatchTheDefinitionForEveryLength) {
  constexpr std::int64_t kRows = 3;
  for (const InstructionSet set : supported_instruction_sets()) {
    for (std::int64_t columns = 1; columns <= 200; ++columns) {
      const std::vector<float> x = random_row(kRows * columns, 10.0F, 9);
      std::vector<float> y = x;
      softmax_short_rows(set, kRows, columns, 0.5F, y.data(), y.data());
      for (std::int64_t r = 0; r < kRows; ++r) {
        const auto row = [&](const std::vector<float>& values) {
          return std::vector<float>(values.begin() + r * columns, values.begin() + (r + 1) * columns);
        };
        expect_close(row(y), naive_softmax(row(x), 0.5), 2e-6);
      }
    }
  }
}

TEST(SoftmaxShortRows, KeepNanInItsRow) {
  for (const InstructionSet set : supported_instruction_sets()) {
    std::vector<float> y(3 * 65, 1.0F);
    y[65 + 64] = kNan;
    softmax_short_rows(set, 3, 65, 1.0F, y.data(), y.data());
    EXPECT_EQ(std::count_if(y.begin(), y.end(), [](float v) { return std::isnan(v); }), 65);
    EXPECT_TRUE(std::isnan(y[65]));
  }
}

TEST(SoftmaxRowsBackward, MatchesTheDefinitionInPlaceForEveryLength) {
  constexpr std::int64_t kRows = 3;
  for (const InstructionSet set : supported_instruction_sets()) {
    for (std::int64_t columns = 1; columns <= 100; ++columns) {
      const std::vector<float> y = random_row(kRows * columns, 1.0F, 10);
      const std::vector<float> dy = random_row(kRows * columns, 1.0F, 11);
      naive::Values expected(y.size());
      for (std::int64_t first = 0; first < kRows * columns; first += columns) {
        double mean = 0.0;
        for (std::int64_t c = first; c < first + columns; ++c) {
          mean += static_cast<double>(y[at(c)]) * static_cast<double>(dy[at(c)]);
        }
        for (std::int64_t c = first; c < first + columns; ++c) {
          expected[at(c)] = 0.5 * static_cast<double>(y[at(c)]) * (static_cast<double>(dy[at(c)]) - mean);
        }
      }
      std::vector<float> dx = dy;
      softmax_rows_backward(set, kRows, columns, 0.5F, y.data(), dx.data(), dx.data());
      naive::expect_near(dx, expected, 2e-6);
    }
  }
}

TEST(ChooseSoftmaxMethod, TakesTwoPassesOnlyBeyondTheCache) {
  constexpr std::int64_t kCache = 2 << 20;
  constexpr std::int64_t kFit = kCache / 8;  // floats of which x and y fit
  const SoftmaxMethod reload{SoftmaxAlgorithm::three_pass_reload, Stores::cached};
  const SoftmaxMethod two_pass{SoftmaxAlgorithm::two_pass, Stores::non_temporal};
  for (const InstructionSet set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512}) {
    EXPECT_EQ(choose_softmax_method(1, set, kCache), reload);
    EXPECT_EQ(choose_softmax_method(65, set, kCache), reload);
    EXPECT_EQ(choose_softmax_method(kFit, set, kCache), reload);
    EXPECT_EQ(choose_softmax_method(100 * kFit, set, kCache), two_pass);
  }
  EXPECT_EQ(choose_softmax_method(kFit + 1, InstructionSet::avx512, kCache), two_pass);
  EXPECT_EQ(choose_softmax_method(kFit + 1, InstructionSet::avx2, kCache), reload);
  EXPECT_GE(second_level_cache_bytes(), 64 << 10);
}

TEST(InstructionSets, ThePortableOneIsAlwaysThere) {
  const std::vector<InstructionSet> sets = supported_instruction_sets();
  EXPECT_EQ(sets.front(), InstructionSet::portable);
  EXPECT_EQ(sets.back(), best_instruction_set());
}

}  // namespace
}  // namespace cosearch::kernels
