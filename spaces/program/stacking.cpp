#include "spaces/program/stacking.hpp"

#include <algorithm>
#include <tuple>

namespace cosearch::program {
namespace {

class Search {
 public:
  Search(const Stacking& stacking, std::int64_t height, std::int64_t enough, std::int64_t most_states)
      : stacking_(stacking),
        floors_(stacking.blocks.size(), 0),
        offsets_(stacking.blocks.size(), -1),
        height_(height),
        enough_(enough),
        states_left_(most_states) {}

  std::optional<std::vector<std::int64_t>> run() && {
    extend(0, {0, 0}, 0);
    return std::move(best_);
  }

 private:
  using Position = std::pair<std::int64_t, std::size_t>;  ///< offset and block: the order in which blocks are placed

  /// Lowest aligned offset of a block, if what it meets lies below it.
  [[nodiscard]] std::int64_t floor(std::size_t block, std::int64_t least = 0) const {
    const std::int64_t alignment = stacking_.blocks[block].alignment;
    return (std::max(floors_[block], least) + alignment - 1) / alignment * alignment;
  }

  /// At some moment the blocks without a place, which lie above each other and not below `lowest`, end too high.
  [[nodiscard]] bool hopeless(std::int64_t lowest) const {
    return std::any_of(stacking_.moments.begin(), stacking_.moments.end(), [&](const auto& moment) {
      std::int64_t bottom = height_;
      std::int64_t bytes = 0;
      for (const auto& [block, used] : moment) {
        if (offsets_[block] < 0) {
          bottom = std::min(bottom, floor(block, lowest));
          bytes += used;
        }
      }
      return bytes > 0 && bottom + bytes >= height_;
    });
  }

  /// Blocks that can come next, the best first: low ones, then large ones.
  [[nodiscard]] std::vector<std::size_t> candidates(std::size_t placed, const Position& last, std::int64_t top) const {
    std::vector<std::tuple<std::int64_t, std::int64_t, std::size_t>> next;
    for (std::size_t block = 0; block < offsets_.size(); ++block) {
      if (offsets_[block] >= 0) {
        continue;
      }
      const Position position{floor(block), block};
      const std::int64_t end = std::max(top, position.first + stacking_.blocks[block].bytes);
      if ((placed == 0 || position > last) && end < height_) {
        next.emplace_back(position.first, -stacking_.blocks[block].bytes, block);
      }
    }
    std::sort(next.begin(), next.end());
    std::vector<std::size_t> blocks;
    for (const auto& entry : next) {
      blocks.push_back(std::get<2>(entry));
    }
    return blocks;
  }

  /// Places the blocks that are left on a stack of `placed` blocks up to `top`.
  void extend(std::size_t placed, const Position& last, std::int64_t top) {
    if (placed == offsets_.size()) {
      height_ = top;
      best_ = offsets_;
      return;
    }
    if (--states_left_ < 0 || hopeless(last.first)) {
      return;
    }
    for (const std::size_t block : candidates(placed, last, top)) {
      const std::int64_t offset = floor(block);
      const std::int64_t end = std::max(top, offset + stacking_.blocks[block].bytes);
      if (end >= height_) {
        continue;  // a smaller height was found meanwhile
      }
      std::vector<std::pair<std::size_t, std::int64_t>> raised;
      for (const auto& [other, bytes] : stacking_.blocks[block].above) {
        if (offsets_[other] < 0 && floors_[other] < offset + bytes) {
          raised.emplace_back(other, floors_[other]);
          floors_[other] = offset + bytes;
        }
      }
      offsets_[block] = offset;
      extend(placed + 1, {offset, block}, end);
      offsets_[block] = -1;
      for (const auto& [other, before] : raised) {
        floors_[other] = before;
      }
      if (height_ <= enough_ || states_left_ < 0) {
        return;
      }
    }
  }

  const Stacking& stacking_;
  std::vector<std::int64_t> floors_;   ///< where blocks without a place may begin, by those that have one
  std::vector<std::int64_t> offsets_;  ///< -1: no place yet
  std::optional<std::vector<std::int64_t>> best_;
  std::int64_t height_;
  std::int64_t enough_;
  std::int64_t states_left_;
};

}  // namespace

std::optional<std::vector<std::int64_t>> stacked(const Stacking& stacking, std::int64_t height, std::int64_t enough,
                                                 std::int64_t most_states) {
  return Search(stacking, height, enough, most_states).run();
}

}  // namespace cosearch::program
