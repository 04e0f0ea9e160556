#pragma once

#include <array>
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
  double outer_words = 0.0;     ///< read from and written to the outermost level
  double resident_words = 0.0;  ///< of tiles in the resident level
};
using SharedProductCost = std::shared_ptr<const Expected<ProductCost, Infeasible>>;

/// Mappings found, by a hash of everything that decides them; threads may share one. A campaign meets the same layer on
/// the same accelerator again and again.
class MapMemo {
 public:
  /// Nothing while the key is new.
  [[nodiscard]] SharedProductCost find(std::uint64_t key) const;
  void insert(std::uint64_t key, SharedProductCost cost);

 private:
  static constexpr std::size_t kShards = 16;
  struct Shard {
    mutable std::mutex mutex;
    std::map<std::uint64_t, SharedProductCost> costs;
  };
  std::array<Shard, kShards> shards_;
};

}  // namespace cosearch::asic
