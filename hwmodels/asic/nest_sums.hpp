#pragma once

#include <array>
#include <cstdint>

#include "hwmodels/asic/flat_nest.hpp"
#include "hwmodels/asic/loop_nest.hpp"

/// Inside of hwmodels/asic: sums over the tiles that a loop nest visits, in closed form where steps divide and by
/// splitting off shorter last steps elsewhere. Nothing here allocates.
namespace cosearch::asic {

/// Products and sums that remember an overflow instead of wrapping.
class CheckedArithmetic {
 public:
  std::int64_t multiply(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t product = 0;
    overflow_ = __builtin_mul_overflow(a, b, &product) || overflow_;
    return product;
  }
  std::int64_t add(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    overflow_ = __builtin_add_overflow(a, b, &sum) || overflow_;
    return sum;
  }
  [[nodiscard]] bool overflow() const noexcept { return overflow_; }

 private:
  bool overflow_ = false;
};

/// One axis of an access: a * (loop a) + b * (loop b). An axis of one loop has loop_b == -1, a constant one none.
struct TileAxis {
  int loop_a = -1;
  int loop_b = -1;
  std::int64_t a = 1;  ///< magnitudes; signs change no count
  std::int64_t b = 1;
  std::int64_t reduced_a = 1;  ///< divided by their common divisor
  std::int64_t reduced_b = 1;
};

/// A tensor's access, prepared.
struct TileAccess {
  std::array<TileAxis, kMaxDims> axes{};
  int axis_count = 0;
  std::uint32_t loops = 0;  ///< bit by einsum loop: those that move the tile
};

/// Different values of a * i + b * j with i < m, j < n; a and b have no common divisor. A value that occurs again
/// occurs at (i + b, j - a), so values are counted once by dropping the pairs that have such a predecessor.
[[nodiscard]] std::int64_t different_values(std::int64_t a, std::int64_t b, std::int64_t m, std::int64_t n) noexcept;

/// Which tiles of level `inner` (-1: single operations) a sum runs over.
struct TileSum {
  int inner = -1;
  int outer = 0;             ///< networks of the levels inner + 1 to outer lie between
  bool first = false;        ///< only the first instance of `outer`, else all
  std::uint32_t merged = 0;  ///< bit by level: its network serves tiles at the same place together
  int kept_until = 0;        ///< temporal steps below this index do not move the tile
  int slide = -1;            ///< step along which a tile keeps what it shares with the one before, or none
  ir::FootprintKind footprint = ir::FootprintKind::exact;
};

/// Elements of one tile.
[[nodiscard]] std::int64_t tile_elements(const TileAccess& access, const std::array<std::int64_t, kMaxDims>& extents,
                                         ir::FootprintKind footprint, CheckedArithmetic& arithmetic);

/// Elements of one access that move, summed over the tiles of sums that have all in common but `outer`, `first` and
/// `merged`. The product over axes and loops keeps the factors that another such sum does not change, which are most.
class MovedElements {
 public:
  /// All have to outlive it. `access` has no constant axes.
  // NOLINTNEXTLINE(*-member-init): the first sum sets the factors
  MovedElements(const FlatNest& nest, const TileAccess& access, CheckedArithmetic& arithmetic)
      : nest_(nest), access_(access), arithmetic_(arithmetic) {}

  [[nodiscard]] std::int64_t of(const TileSum& sum);

 private:
  [[nodiscard]] std::int64_t along_axis(const TileAxis& axis, const TileSum& sum);

  const FlatNest& nest_;
  const TileAccess& access_;
  CheckedArithmetic& arithmetic_;
  bool known_ = false;        ///< the factors are those of a sum with the next two
  std::uint32_t first_ = 0;   ///< levels of whose spatial loops only the first step counts
  std::uint32_t merged_ = 0;  ///< levels whose networks merge
  std::array<std::int64_t, kMaxDims> axes_;
  std::array<std::int64_t, kMaxDims> others_;  ///< by loop that does not move the tile
};

/// Steps of time in which something runs.
[[nodiscard]] std::int64_t time_steps(const FlatNest& nest, CheckedArithmetic& arithmetic);

/// Instances of `level` (-1: MACs) that ever run.
[[nodiscard]] std::int64_t used_instances(const FlatNest& nest, int level, CheckedArithmetic& arithmetic);

/// Different output elements that instances of `level` work on, summed over all or for the first instance. Every loop
/// of the output stands alone in an axis.
[[nodiscard]] std::int64_t distinct_outputs(const FlatNest& nest, const TileAccess& access, int level, bool first,
                                            CheckedArithmetic& arithmetic);

/// Where data of `level` stays over steps of time: `kept_until` and `slide` of its sums.
void set_reuse(const FlatNest& nest, const TileAccess& access, TileSum& sum);

}  // namespace cosearch::asic
