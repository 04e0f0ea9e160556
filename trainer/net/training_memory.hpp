#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "trainer/net/aligned_floats.hpp"

namespace cosearch {

/// Blocks of memory that workers borrow. Which worker gets which block does not matter: they hold no results.
class BlockPool {
 public:
  explicit BlockPool(std::int64_t floats) : floats_(floats) {}
  [[nodiscard]] std::unique_ptr<AlignedFloats> take();
  void give_back(std::unique_ptr<AlignedFloats> block);
  /// Blocks taken from now on have at least so many floats. None may be out.
  void reserve(std::int64_t floats);

 private:
  std::int64_t floats_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<AlignedFloats>> free_;
};

/// The large blocks of training steps: those of the chunks, and those that workers borrow. Holds nothing from one step
/// to the next, so networks that are trained in turn may share it.
class TrainingMemory {
 public:
  struct Sizes {
    std::size_t chunks = 0;
    std::int64_t kept = 0;       ///< floats of a chunk's own block
    std::int64_t worker = 0;     ///< floats of a worker's block
    std::int64_t gradients = 0;  ///< floats of a chunk's gradients
  };
  /// Makes room; blocks may move. Never shrinks.
  void reserve(const Sizes& sizes);

  [[nodiscard]] float* kept(std::size_t chunk) { return kept_[chunk].data(); }
  [[nodiscard]] float* gradients(std::size_t chunk) { return gradients_[chunk].data(); }
  [[nodiscard]] BlockPool& workers() noexcept { return workers_; }

 private:
  std::vector<AlignedFloats> kept_;
  std::vector<AlignedFloats> gradients_;
  BlockPool workers_{0};
};

}  // namespace cosearch
