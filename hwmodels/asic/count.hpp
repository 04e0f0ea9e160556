#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/loop_nest.hpp"
#include "hwmodels/asic/nest_sums.hpp"
#include "spaces/base/expected.hpp"
#include "spaces/base/infeasible.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// Words of one tensor at one level that keeps it, summed over the instances.
struct TensorTraffic {
  std::int64_t tile = 0;       ///< in one instance at a time, at most
  std::int64_t fills = 0;      ///< written from outside: tiles of operands, partial sums that come back
  std::int64_t reads = 0;      ///< towards the MACs (operands), or of partial sums that something is added to (outputs)
  std::int64_t updates = 0;    ///< written from inside (outputs)
  std::int64_t delivered = 0;  ///< what the instances inside receive or send; delivered / reads: words per multicast
  std::int64_t temporal_reductions = 0;  ///< additions at the level: updates of what it has a partial sum of
  std::int64_t spatial_reductions = 0;   ///< additions in the networks between it and what sends to it
  bool operator==(const TensorTraffic&) const = default;
};

struct LevelCounts {
  std::array<TensorTraffic, kMaxTensors> tensors{};  ///< zeros where a tensor is not kept
  std::int64_t instances = 1;                        ///< that are used
  std::int64_t words = 0;                            ///< kept in one instance: the sum of the tiles
  std::int64_t cycles = 0;                           ///< that its bandwidths take, 0 where they are unbounded
  bool operator==(const LevelCounts&) const = default;
};

/// What a nest does. All numbers are exact.
struct Counts {
  std::array<LevelCounts, kMaxLevels> levels{};
  int level_count = 0;
  int tensor_count = 0;  ///< operands in order, then the output
  std::int64_t macs = 0;
  std::int64_t mac_instances = 1;   ///< that are used
  std::int64_t compute_cycles = 0;  ///< one multiply-accumulate per cycle and instance
  std::int64_t cycles = 0;          ///< of whatever is slowest; transfers and computing overlap
  bool operator==(const Counts&) const = default;
};

/// Counts the accesses of loop nests on an architecture. Prepared once per einsum and architecture; counting does not
/// allocate unless the nest does not fit.
///
/// The model, which is Timeloop's (v3.0.3) where footprints are hulls:
/// - A level keeps, of each tensor, the tile that its own loops and those inside of it touch. When a loop outside
///   advances, the level loads what the new tile has and the old one had not. It can tell that in two cases: the tile
///   is the same (only loops that do not move it advanced), or the innermost loop outside of the tile with more than
///   one step advanced, so that windows slide. In all other cases the whole tile is loaded.
/// - The MACs keep nothing: they read two operands and send one product a cycle.
/// - A network that can multicast serves instances with tiles of equal extents at the same place with one read; one
///   that can reduce adds up what they send. A network between levels works on the tiles of the level inside of it,
///   whether or not that keeps the tensor.
/// - Output tiles that leave are written outside as updates; reading them for that is not counted. The first update of
///   an element at an instance is stored, later ones are added to what is read (temporal reduction). A tile that comes
///   back to an instance brings its partial sums, except for elements that the instance never had.
/// - A level takes max(reads / read bandwidth, (fills + updates) / write bandwidth) cycles, with one port the sum of
///   both, counted for its first instance, which has the largest tiles. The outermost level is never filled.
/// - A level that is double buffered holds tiles in half of its capacity.
/// Padding is data like any other (accesses outside of a tensor are counted). An accumulating einsum counts as one that
/// starts from nothing; Walk adds the read of what was there.
class NestCounter {
 public:
  /// Keeps copies of what it needs. The workload is valid. `resident` tensors lie in `arch.resident_level()` as a whole
  /// before and after: they cost nothing further outside and, there, no room for a tile (what they take is not part of
  /// the level's capacity); the level has to exist, and nests keep them there. @throws ConfigError, see einsum_tensors.
  NestCounter(const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch, std::uint32_t resident = 0);

  /// The nest is well formed (structure_error finds nothing). Infeasible: tiles that exceed a capacity, loops that
  /// exceed a fan-out, a tensor kept where the architecture cannot, counts beyond 64 bits.
  [[nodiscard]] Expected<Counts, Infeasible> count(const LoopNest& nest, ir::FootprintKind footprint) const;

  /// The same without a reason, and without allocating, for those who try many nests.
  [[nodiscard]] bool try_count(const LoopNest& nest, ir::FootprintKind footprint, Counts& counts) const;

  /// Whether tiles of these extents, by level and loop, fit into what the levels have, each keeping `kept` (bit by
  /// tensor).
  [[nodiscard]] bool holds(const std::array<std::array<std::int64_t, kMaxDims>, kMaxLevels>& tiles,
                           const std::array<std::uint32_t, kMaxLevels>& kept, ir::FootprintKind footprint) const;

  /// Timeloop's "partition size" of each level and tensor: the tensor divided over the instances in proportion to their
  /// tile's share in what the instances of their level hold together, rounded down level by level from outside.
  [[nodiscard]] std::array<std::array<std::int64_t, kMaxTensors>, kMaxLevels> partition_sizes(
      const LoopNest& nest) const;

 private:
  struct Prepared {
    TileAccess access;
    Role role = Role::input;
    std::string name;
  };

  enum class Obstacle { none, misfit, overfull, overflow };
  [[nodiscard]] Obstacle run(const LoopNest& nest, const FlatNest& flat, ir::FootprintKind footprint,
                             Counts& counts) const;
  [[nodiscard]] bool misfits(const LoopNest& nest, const FlatNest& flat) const;
  [[nodiscard]] Infeasible why_misfit(const LoopNest& nest, const FlatNest& flat) const;
  [[nodiscard]] Infeasible why_overfull(const Counts& counts) const;
  /// Fills in the tiles; whether a level has too many words.
  [[nodiscard]] bool overfull(const LoopNest& nest, const FlatNest& flat, ir::FootprintKind footprint, Counts& counts,
                              CheckedArithmetic& arithmetic) const;
  [[nodiscard]] bool resides(std::size_t tensor, int level) const noexcept {
    return level == resident_level_ && ((resident_ >> tensor) & 1U) != 0;
  }
  struct FirstInstance;
  void count_tensor(const LoopNest& nest, const FlatNest& flat, int tensor, ir::FootprintKind footprint, Counts& counts,
                    FirstInstance& first, CheckedArithmetic& arithmetic) const;
  void count_transfer(const FlatNest& flat, int tensor, TileSum sum, Counts& counts, FirstInstance& first,
                      CheckedArithmetic& arithmetic) const;
  void count_first(const FlatNest& flat, int tensor, TileSum sum, MovedElements& moved, const Counts& counts,
                   FirstInstance& first, CheckedArithmetic& arithmetic) const;
  void count_cycles(const FirstInstance& first, Counts& counts) const;

  Arch arch_;
  std::vector<Prepared> tensors_;
  int dims_ = 0;
  std::array<std::int64_t, kMaxDims> extents_{};
  std::int64_t macs_ = 0;
  std::uint32_t multicast_ = 0;  ///< bit by level
  std::uint32_t reduction_ = 0;
  std::uint32_t bounded_ = 0;   ///< levels with a bandwidth
  std::uint32_t resident_ = 0;  ///< bit by tensor
  int resident_level_ = -1;
};

/// Counts one nest. @throws ConfigError for einsums that cannot be mapped.
[[nodiscard]] Expected<Counts, Infeasible> count(const ir::Workload& workload, const ir::Einsum& einsum,
                                                 const Arch& arch, const LoopNest& nest, ir::FootprintKind footprint);

}  // namespace cosearch::asic
