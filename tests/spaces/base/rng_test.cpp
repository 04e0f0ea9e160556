#include "spaces/base/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "spaces/base/hash.hpp"

namespace cosearch {
namespace {

/// Philox4x32-10 written from the paper's definition (Salmon et al., SC'11, section 3.3), without Random123.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32U) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32U) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

TEST(RngStream, IsPhiloxKeyedBySeedAndPurposeAndCountedByIndex) {
  const std::uint64_t key = Hasher{}.add(std::uint64_t{7}).add(static_cast<std::uint64_t>(Purpose::vary)).value();
  const std::uint64_t index = 0x100000002ULL;
  RngStream stream(7, Purpose::vary, index);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const auto expected =
        philox({block, 0, 2, 1}, {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32U)});
    for (const std::uint32_t word : expected) {
      EXPECT_EQ(stream.next_u32(), word);
    }
  }
}

TEST(RngStream, EveryKeyHasItsOwnStream) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t index = 0; index < 10; ++index) {
      for (const Purpose purpose : {Purpose::sample, Purpose::vary, Purpose::shuffle}) {
        first.insert(RngStream(seed, purpose, index).next_u64());
      }
    }
  }
  EXPECT_EQ(first.size(), 300U);
}

TEST(RngStream, UniformIntegersAndNormalsHaveTheirMoments) {
  RngStream rng(1, Purpose::test, 0);
  constexpr int kDraws = 60000;
  double sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  std::array<int, 7> histogram{};
  for (int i = 0; i < kDraws; ++i) {
    const double u = rng.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    ++histogram[rng.below(7)];
    const double n = rng.normal();
    normal_sum += n;
    normal_squares += n * n;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(normal_sum / kDraws, 0.0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(normal_squares / kDraws, 1.0, 5 * std::sqrt(2.0 / kDraws));
  for (const int count : histogram) {
    EXPECT_NEAR(count, kDraws / 7.0, 5 * std::sqrt(kDraws / 7.0));
  }
}

TEST(RngStream, ShuffleGivesEveryPermutationOfThree) {
  std::set<std::vector<int>> seen;
  for (std::uint64_t i = 0; i < 200; ++i) {
    RngStream rng(3, Purpose::test, i);
    std::vector<int> values{0, 1, 2};
    rng.shuffle(values);
    seen.insert(values);
  }
  EXPECT_EQ(seen.size(), 6U);
}

}  // namespace
}  // namespace cosearch
