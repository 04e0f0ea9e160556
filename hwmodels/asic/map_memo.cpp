#include "hwmodels/asic/map_memo.hpp"

#include <utility>

namespace cosearch::asic {

SharedProductCost MapMemo::find(std::uint64_t key) {
  Shard& shard = shards_[key % kShards];
  const std::lock_guard lock(shard.mutex);
  if (const auto found = shard.young.find(key); found != shard.young.end()) {
    return found->second;
  }
  const auto found = shard.old.find(key);
  if (found == shard.old.end()) {
    return nullptr;
  }
  SharedProductCost cost = found->second;
  shard.old.erase(found);
  keep(shard, key, cost);
  return cost;
}

void MapMemo::insert(std::uint64_t key, SharedProductCost cost) {
  Shard& shard = shards_[key % kShards];
  const std::lock_guard lock(shard.mutex);
  shard.old.erase(key);
  keep(shard, key, std::move(cost));
}

void MapMemo::keep(Shard& shard, std::uint64_t key, SharedProductCost cost) const {
  if (shard.young.size() >= half_ && shard.young.find(key) == shard.young.end()) {
    shard.old = std::exchange(shard.young, {});
  }
  shard.young.emplace(key, std::move(cost));
}

std::size_t MapMemo::size() const {
  std::size_t entries = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    entries += shard.young.size() + shard.old.size();
  }
  return entries;
}

}  // namespace cosearch::asic
