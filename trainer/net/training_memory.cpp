#include "trainer/net/training_memory.hpp"

#include <algorithm>
#include <utility>

namespace cosearch {
namespace {

void grow(std::vector<AlignedFloats>& blocks, std::size_t count, std::int64_t floats) {
  if (blocks.size() < count) {
    blocks.resize(count);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (blocks[i].size() < floats) {
      blocks[i] = {};  // the old block goes before the new one comes
      blocks[i] = AlignedFloats(floats);
    }
  }
}

}  // namespace

std::unique_ptr<AlignedFloats> BlockPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<AlignedFloats> block = std::move(free_.back());
      free_.pop_back();
      return block;
    }
  }
  return std::make_unique<AlignedFloats>(floats_);
}

void BlockPool::give_back(std::unique_ptr<AlignedFloats> block) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(block));
}

void BlockPool::reserve(std::int64_t floats) {
  const std::lock_guard lock(mutex_);
  if (floats > floats_) {
    floats_ = floats;
    free_.clear();
  }
}

void TrainingMemory::reserve(const Sizes& sizes) {
  grow(kept_, sizes.chunks, sizes.kept);
  grow(gradients_, sizes.chunks, sizes.gradients);
  workers_.reserve(sizes.worker);
}

}  // namespace cosearch
