#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace cosearch {

/// What a stream of random numbers is for. Values are part of stored results: append only.
enum class Purpose : std::uint32_t {
  sample = 1,        ///< initial designs and random search, by trial index
  vary = 2,          ///< parent selection, crossover, mutation, by trial index
  init_weights = 3,  ///< by weight name
  shuffle = 4,       ///< order of training samples, by epoch
  augment = 5,       ///< shifts and flips, by epoch
  split = 6,         ///< subsets of a data set
  test = 7,
  subnet = 8,  ///< networks that a supernet trains, by step
  map = 9,     ///< restarts and changes of a mapper's local search
  gate = 10,   ///< noise of routers of experts, by sample
};

/// A stream of random numbers that is a pure function of (seed, purpose, index): Philox4x32-10 (Salmon et al.,
/// "Parallel random numbers: as easy as 1, 2, 3", SC'11) through Random123. Two streams with different keys never
/// share state, so results do not depend on which thread draws first. Distributions are our own, because those of
/// the standard library differ between implementations.
class RngStream {
 public:
  RngStream(std::uint64_t seed, Purpose purpose, std::uint64_t index) noexcept;

  [[nodiscard]] std::uint32_t next_u32() noexcept;
  [[nodiscard]] std::uint64_t next_u64() noexcept;
  /// In [0, 1), 53 bits.
  [[nodiscard]] double uniform() noexcept;
  /// In [0, n), without bias (rejection). n > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t n) noexcept;
  /// Standard normal, Box-Muller.
  [[nodiscard]] double normal() noexcept;

  /// Fisher-Yates.
  template <class T>
  void shuffle(std::vector<T>& values) noexcept {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[below(i)]);
    }
  }

 private:
  void refill() noexcept;
  std::array<std::uint32_t, 2> key_{};
  std::array<std::uint32_t, 4> counter_{};
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace cosearch
