#include "hwmodels/asic/map_memo.hpp"

#include <utility>

namespace cosearch::asic {

SharedProductCost MapMemo::find(std::uint64_t key) const {
  const Shard& shard = shards_[key % kShards];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.costs.find(key);
  return found == shard.costs.end() ? nullptr : found->second;
}

void MapMemo::insert(std::uint64_t key, SharedProductCost cost) {
  Shard& shard = shards_[key % kShards];
  const std::lock_guard lock(shard.mutex);
  shard.costs.emplace(key, std::move(cost));
}

}  // namespace cosearch::asic
