#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "hwmodels/asic/maestro/nest.hpp"

/// Cases of the iterations of one level: what a combination of first, middle and last steps moves and computes.
namespace cosearch::maestro {

/// Extents that a level is given in one case of its parent.
using Given = std::array<std::int64_t, kDimensions>;

/// Steps of one directive that cost the same.
struct State {
  std::int64_t count = 1;
  bool first = false;    ///< the first step
  bool whole = false;    ///< the first step and the only one
  bool edge = false;     ///< covers less than a full step
  bool partial = false;  ///< spatial: the last busy unit holds less than a tile
};
struct States {
  std::size_t count = 0;
  std::array<State, 3> list;
  void add(const State& state) { list[count++] = state; }
};

/// First unit of a level, those that share a halo with a neighbour, and the last one where it holds less.
enum class Unit : std::uint8_t { first, other, last };

/// Of one directive when the level is given `extent` of its dimension.
[[nodiscard]] States states_of(const NestLevel& level, const NestDirective& directive, std::int64_t extent);
/// Units that work at the edge of a spatial directive.
[[nodiscard]] std::int64_t busy_at_edge(const NestLevel& level, const Tile& tile);

/// One combination of states of a level's directives.
class Case {
 public:
  Case(const NestLevel& level, const Couplings& couplings) : level_(level), couplings_(couplings) {
    for (std::size_t i = 0; i < level.count; ++i) {
      if (level.directives[i].spatial) {
        first_spatial_ = spatial_ == 0 ? i : first_spatial_;
        spatial_ = static_cast<DimensionSet>(spatial_ | (1U << level.directives[i].dimension));
      }
    }
  }

  void set(std::size_t directive, const State& state) { states_[directive] = state; }

  /// After the states are set.
  void finish() {
    innermost_ = -1;
    edges_ = 0;
    for (std::size_t i = 0; i < level_.count; ++i) {
      if (!states_[i].first) {
        innermost_ = static_cast<int>(i);
      }
      edges_ |= states_[i].edge ? 1U << i : 0U;
      busy_of_[i] = states_[i].edge && tile(i).spatial ? busy_at_edge(level_, tile(first_spatial_)) : level_.units;
    }
    all_ = units_for(kEverything);
  }

  [[nodiscard]] bool all_first() const noexcept { return innermost_ < 0; }
  [[nodiscard]] std::int64_t busy() const noexcept { return all_.busy; }
  [[nodiscard]] bool partial() const noexcept { return all_.partial; }
  /// Which directives are at an edge: decides everything but what is kept from the step before.
  [[nodiscard]] std::uint32_t edges() const noexcept { return edges_; }

  [[nodiscard]] std::int64_t ingress(DimensionSet tensor) const {
    if (innermost_ >= 0 && !contains(tensor, dimension(static_cast<std::size_t>(innermost_)))) {
      return 0;  // it stays where it is
    }
    const bool again = starts_again(tensor);
    return over_units(tensor, [&](Unit unit) { return arriving(tensor, unit, again); });
  }
  [[nodiscard]] std::int64_t egress() const {
    return over_units(couplings_.output, [&](Unit unit) { return leaving(unit); });
  }
  [[nodiscard]] std::int64_t macs_of(Unit unit) const {
    std::int64_t product = 1;
    for (std::size_t i = 0; i < level_.count; ++i) {
      product *= contains(couplings_.output, dimension(i)) ? produced(i, unit) : held(i, unit, tile(i).held);
    }
    return product;
  }
  [[nodiscard]] std::int64_t macs() const {
    const std::int64_t full = busy() - (partial() ? 1 : 0);
    return full * macs_of(Unit::first) + (partial() ? macs_of(Unit::last) : 0);
  }
  /// What a unit hands to the level below.
  [[nodiscard]] Given given(Unit unit) const {
    Given extents;
    extents.fill(1);
    for (std::size_t i = 0; i < level_.count; ++i) {
      extents[level_.directives[i].dimension] = held(i, unit, tile(i).held);
    }
    return extents;
  }

 private:
  struct Busy {
    std::int64_t busy = 1;
    bool partial = false;  ///< the last one holds less
  };
  static constexpr DimensionSet kEverything = (1U << kDimensions) - 1;

  /// Units that hold different parts of a tensor.
  [[nodiscard]] Busy units_for(DimensionSet tensor) const {
    Busy units{level_.units, false};
    for (std::size_t i = 0; i < level_.count; ++i) {
      if (tile(i).spatial && contains(tensor, dimension(i))) {
        units.busy = std::min(units.busy, busy_of_[i]);
        units.partial = units.partial || states_[i].partial;
      }
    }
    units.partial = units.partial && units.busy > 1;
    return units;
  }

  [[nodiscard]] const Tile& tile(std::size_t i) const { return level_.tiles[level_.directives[i].dimension]; }
  [[nodiscard]] Dimension dimension(std::size_t i) const {
    return static_cast<Dimension>(level_.directives[i].dimension);
  }
  /// At the edge of a spatial directive only the last unit holds less, or the only one.
  [[nodiscard]] bool at_edge(std::size_t i, Unit unit) const {
    return states_[i].edge && (!tile(i).spatial || busy_of_[i] == 1 || unit == Unit::last);
  }
  [[nodiscard]] std::int64_t held(std::size_t i, Unit unit, const Extents& extents) const {
    return at_edge(i, unit) ? extents.edge : extents.full;
  }

  /// Where a last spatial step leaves one unit busy, MAESTRO takes the rows or columns of the input for those of the
  /// output.
  [[nodiscard]] std::int64_t produced(std::size_t i, Unit unit) const {
    const bool alone = states_[i].edge && !states_[i].first && tile(i).spatial && busy_of_[i] == 1;
    return alone ? tile(i).held.edge : held(i, unit, tile(i).produced);
  }

  /// A directive inside the one that moved started again, so the whole tile comes anew.
  [[nodiscard]] bool starts_again(DimensionSet tensor) const {
    for (auto i = static_cast<std::size_t>(innermost_ + 1); i < level_.count; ++i) {
      if (contains(tensor, dimension(i)) && states_[i].first && !states_[i].whole) {
        return true;
      }
    }
    return false;
  }

  template <class PerUnit>
  [[nodiscard]] std::int64_t over_units(DimensionSet tensor, const PerUnit& per_unit) const {
    const std::int64_t first = per_unit(Unit::first);
    if ((spatial_ & tensor) == 0) {
      return first;  // multicast, or reduced on the way
    }
    const Busy units = units_for(tensor);
    const std::int64_t last = units.partial ? per_unit(Unit::last) : 0;
    const std::int64_t others = std::max(units.busy - 1 - (units.partial ? 1 : 0), std::int64_t{0});
    return first + (others > 0 ? others * per_unit(Unit::other) : 0) + last;
  }

  [[nodiscard]] std::int64_t arriving(DimensionSet tensor, Unit unit, bool again) const {
    std::int64_t product = 1;
    for (std::size_t i = 0; i < level_.count; ++i) {
      if (!contains(tensor, dimension(i))) {
        continue;
      }
      const Extents& part = tile(i).held;
      const bool moved = static_cast<int>(i) == innermost_ && !again;
      if (!tile(i).spatial) {
        // A last temporal step is charged like any other, only a first one that is cut short holds less.
        product *= states_[i].first ? held(i, unit, part) : moved ? std::max(part.fresh, std::int64_t{1}) : part.full;
      } else if (unit != Unit::first && innermost_ >= 0 &&
                 (states_[i].first ? static_cast<int>(i) > innermost_ : moved)) {
        product *= at_edge(i, unit) ? part.edge_fresh : part.fresh;
      } else {
        product *= held(i, unit, part);
      }
    }
    return product;
  }

  [[nodiscard]] std::int64_t leaving(Unit unit) const {
    std::int64_t product = 1;
    for (std::size_t i = 0; i < level_.count; ++i) {
      if (contains(couplings_.output, dimension(i))) {
        const Extents& part = tile(i).produced;
        const bool fresh = tile(i).spatial && unit != Unit::first;
        product *= fresh ? (at_edge(i, unit) ? part.edge_fresh : part.fresh) : produced(i, unit);
      }
    }
    return product;
  }

  const NestLevel& level_;
  const Couplings& couplings_;
  DimensionSet spatial_ = 0;
  std::size_t first_spatial_ = 0;  ///< decides how many units work at an edge
  std::array<State, kMaxDirectives> states_;
  int innermost_ = -1;  ///< innermost directive that is not at its first step
  std::uint32_t edges_ = 0;
  std::array<std::int64_t, kMaxDirectives> busy_of_;
  Busy all_;
};

}  // namespace cosearch::maestro
