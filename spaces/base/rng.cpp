#include "spaces/base/rng.hpp"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>

#include "spaces/base/hash.hpp"

namespace cosearch {

RngStream::RngStream(std::uint64_t seed, Purpose purpose, std::uint64_t index) noexcept {
  // The 64-bit key mixes seed and purpose; the index fills the upper half of the counter, the draws the lower.
  const std::uint64_t key = Hasher{}.add(seed).add(static_cast<std::uint64_t>(purpose)).value();
  key_ = {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32U)};
  counter_ = {0, 0, static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32U)};
}

void RngStream::refill() noexcept {
  const r123::Philox4x32::ctr_type counter{{counter_[0], counter_[1], counter_[2], counter_[3]}};
  const r123::Philox4x32::key_type key{{key_[0], key_[1]}};
  const auto block = r123::Philox4x32{}(counter, key);
  block_ = {block[0], block[1], block[2], block[3]};
  if (++counter_[0] == 0) {
    ++counter_[1];
  }
  used_ = 0;
}

std::uint32_t RngStream::next_u32() noexcept {
  if (used_ == 4) {
    refill();
  }
  return block_[used_++];
}

std::uint64_t RngStream::next_u64() noexcept {
  const std::uint64_t low = next_u32();
  return low | (static_cast<std::uint64_t>(next_u32()) << 32U);
}

double RngStream::uniform() noexcept { return static_cast<double>(next_u64() >> 11U) * 0x1.0p-53; }

std::uint64_t RngStream::below(std::uint64_t n) noexcept {
  // Rejects the incomplete last interval, so that every value is equally likely.
  const std::uint64_t limit = -n % n;  // 2^64 mod n
  std::uint64_t draw = next_u64();
  while (draw < limit) {
    draw = next_u64();
  }
  return draw % n;
}

double RngStream::normal() noexcept {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace cosearch
