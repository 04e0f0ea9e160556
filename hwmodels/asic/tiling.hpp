#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/dataflow.hpp"
#include "hwmodels/asic/loop_nest.hpp"

namespace cosearch::asic {

inline constexpr int kMaxSlots = 3 * kMaxLevels;

/// A place where a loop over each dim of the einsum can run: the time of a level, or one direction of its network.
struct Slot {
  int level = 0;
  LoopKind kind = LoopKind::temporal;
  std::uint32_t dims = 0;  ///< bit by dim: those that may have steps here
  std::int64_t limit = 1;  ///< instances along the direction
};

/// A mapping as a mapper varies it: steps by slot and dim, from the innermost slot outwards. The loop of a slot covers
/// min(what lies inside * steps, what there is); the last slot covers what is left. So every choice of steps is a
/// nest that covers the einsum, where steps do not divide with a shorter last step.
struct Tiling {
  std::array<std::array<std::int64_t, kMaxDims>, kMaxSlots> steps{};
  std::array<std::uint16_t, kMaxLevels> order{};  ///< of the temporal loops, index into TilingSpace::orders
  std::array<std::uint32_t, kMaxLevels> kept{};   ///< bit by tensor
};

/// The map space of an einsum on an architecture under rules, as tilings.
class TilingSpace {
 public:
  TilingSpace(const ir::Einsum& einsum, std::span<const EinsumTensor> tensors, const Arch& arch, const MapRules& rules,
              std::uint32_t resident);

  /// One step in all slots but the last one; every level keeps what it can.
  [[nodiscard]] Tiling smallest() const;
  /// Whether the steps fit the networks; then `nest` is the well-formed nest.
  [[nodiscard]] bool nest(const Tiling& tiling, LoopNest& nest) const;
  /// What one instance of each level works on.
  [[nodiscard]] std::array<std::array<std::int64_t, kMaxDims>, kMaxLevels> tiles(const Tiling& tiling) const;
  /// Values of the dim that the slots from `slot` on have to step over.
  [[nodiscard]] std::int64_t rest(const Tiling& tiling, int slot, int dim) const;

  [[nodiscard]] const std::vector<Slot>& slots() const noexcept { return slots_; }
  [[nodiscard]] int dims() const noexcept { return dims_; }
  [[nodiscard]] int levels() const noexcept { return levels_; }
  [[nodiscard]] std::int64_t extent(int dim) const { return extents_[static_cast<std::size_t>(dim)]; }
  /// Orders of the temporal loops at a level, outermost first. Only those that differ in what they keep in place: by
  /// which tensors' loops are innermost, and along which of them windows slide.
  [[nodiscard]] const std::vector<std::vector<int>>& orders(int level) const {
    return orders_[static_cast<std::size_t>(level)];
  }
  /// Tensors that the level may keep or leave out.
  [[nodiscard]] std::uint32_t optional(int level) const { return optional_[static_cast<std::size_t>(level)]; }

 private:
  void make_orders(std::span<const EinsumTensor> tensors, const MapRules& rules);

  int dims_ = 0;
  int levels_ = 0;
  std::vector<std::int64_t> extents_;
  std::vector<Slot> slots_;
  std::array<std::vector<std::vector<int>>, kMaxLevels> orders_;
  std::array<std::uint32_t, kMaxLevels> keepable_{};
  std::array<std::uint32_t, kMaxLevels> optional_{};
};

/// ceil(rest / k) for all k, ascending: every number of steps that is the smallest one for what it leaves over.
/// `even`: only divisors.
[[nodiscard]] std::vector<std::int64_t> step_choices(std::int64_t rest, bool even);

}  // namespace cosearch::asic
