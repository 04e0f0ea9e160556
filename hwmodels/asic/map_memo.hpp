#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "hwmodels/asic/loop_nest.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"

namespace cosearch::asic {

/// What one product costs under its best mapping: the part of MappedEinsum that campaigns keep.
struct ProductCost {
  double cycles = 0.0;
  double compute_cycles = 0.0;
  int bound_level = -1;                           ///< whose bandwidth takes all the cycles; -1: computing
  std::array<double, kMaxLevels> level_pj{};      ///< accesses, by level
  std::array<double, kMaxLevels> level_cycles{};  ///< that its bandwidths take
  double mac_pj = 0.0;
  double reduction_pj = 0.0;
  double network_pj = 0.0;
  double outer_reads = 0.0;     ///< words from the outermost level
  double outer_writes = 0.0;    ///< words to it
  double resident_words = 0.0;  ///< of tiles in the resident level
};
using SharedProductCost = std::shared_ptr<const Expected<ProductCost, Infeasible>>;

/// Mappings found, by a hash of everything that decides them; threads may share one. A campaign meets the same layer on
/// the same accelerator again and again. Holds at most `limit` of them: what has not been asked for lately is
/// forgotten. A mapping is a function of its key, so what is forgotten costs time when it is found again, and changes
/// no result.
class MapMemo {
 public:
  /// Some 400 bytes each.
  static constexpr std::size_t kDefaultLimit = std::size_t{1} << 18;
  /// `limit`: at least one, rounded up to a multiple of twice the number of shards.
  explicit MapMemo(std::size_t limit = kDefaultLimit) : half_((limit - 1) / (2 * kShards) + 1) {}

  /// Nothing while the key is new or forgotten.
  [[nodiscard]] SharedProductCost find(std::uint64_t key);
  void insert(std::uint64_t key, SharedProductCost cost);
  [[nodiscard]] std::size_t size() const;

 private:
  static constexpr std::size_t kShards = 16;
  /// Two generations: when the young one is full, it becomes the old one, and what is asked for becomes young again.
  struct Shard {
    mutable std::mutex mutex;
    std::map<std::uint64_t, SharedProductCost> young;
    std::map<std::uint64_t, SharedProductCost> old;
  };
  void keep(Shard& shard, std::uint64_t key, SharedProductCost cost) const;

  std::array<Shard, kShards> shards_;
  std::size_t half_ = 1;  ///< entries of one generation of a shard
};

}  // namespace cosearch::asic
