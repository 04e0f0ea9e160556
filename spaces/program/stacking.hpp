#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace cosearch::program {

/// Blocks of bytes, some of which are in use at the same time, that look for places above each other.
struct Stacking {
  struct Block {
    std::int64_t bytes = 0;
    std::int64_t alignment = 1;
    /// Blocks that it meets, and how far above its offset these begin where they lie higher.
    std::vector<std::pair<std::size_t, std::int64_t>> above = {};
  };
  std::vector<Block> blocks;
  /// Of each moment the blocks in use and how many of their bytes.
  std::vector<std::vector<std::pair<std::size_t, std::int64_t>>> moments;
};

/// Offsets of a height below `height`, the smallest one where the search ends: branch and bound over the blocks in the
/// order of their offsets, where each lies at the bottom or on one that it meets. It stops at `enough` and after
/// `most_states` partial stacks; nothing where none was found by then. Deterministic.
[[nodiscard]] std::optional<std::vector<std::int64_t>> stacked(const Stacking& stacking, std::int64_t height,
                                                               std::int64_t enough, std::int64_t most_states);

}  // namespace cosearch::program
