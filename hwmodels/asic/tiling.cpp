#include "hwmodels/asic/tiling.hpp"

#include <algorithm>

namespace cosearch::asic {
namespace {

bool has(std::uint32_t bits, int index) { return ((bits >> static_cast<unsigned>(index)) & 1U) != 0; }

std::uint32_t loops_of(const EinsumTensor& tensor) {
  std::uint32_t loops = 0;
  for (const ir::AxisIndex& axis : tensor.access->axes) {
    for (const ir::Term& term : axis.terms) {
      loops |= term.coefficient != 0 ? std::uint32_t{1} << static_cast<unsigned>(term.loop) : 0U;
    }
  }
  return loops;
}

/// Loops that move a window which overlaps the next one.
std::uint32_t sliding_loops(std::span<const EinsumTensor> tensors) {
  std::uint32_t loops = 0;
  for (const EinsumTensor& tensor : tensors) {
    for (const ir::AxisIndex& axis : tensor.access->axes) {
      if (axis.terms.size() == 2) {
        for (const ir::Term& term : axis.terms) {
          loops |= std::uint32_t{1} << static_cast<unsigned>(term.loop);
        }
      }
    }
  }
  return loops;
}

/// `innermost` stands inside of all others, then the loops that do not move the first tensor of `priority`, and so on.
std::vector<int> order_for(const std::vector<int>& loops, std::span<const std::uint32_t> priority, int innermost) {
  std::vector<int> inside_out;
  const auto append = [&](int loop) {
    if (std::find(inside_out.begin(), inside_out.end(), loop) == inside_out.end()) {
      inside_out.push_back(loop);
    }
  };
  for (const std::uint32_t moved : priority) {
    if (innermost >= 0 && !has(moved, innermost)) {
      append(innermost);
    }
    for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop) {
      if (!has(moved, *loop)) {
        append(*loop);
      }
    }
    if (innermost >= 0 && std::find(loops.begin(), loops.end(), innermost) != loops.end()) {
      append(innermost);
    }
  }
  std::for_each(loops.rbegin(), loops.rend(), append);
  std::reverse(inside_out.begin(), inside_out.end());
  return inside_out;
}

}  // namespace

std::vector<std::int64_t> step_choices(std::int64_t rest, bool even) {
  std::vector<std::int64_t> choices;
  for (std::int64_t parts = rest; parts >= 1;) {
    const std::int64_t steps = (rest - 1) / parts + 1;
    if (!even || rest % steps == 0) {
      choices.push_back(steps);
    }
    // The next smaller number of parts that needs more steps.
    parts = steps >= rest ? 0 : (rest - 1) / steps;
  }
  return choices;
}

TilingSpace::TilingSpace(const ir::Einsum& einsum, std::span<const EinsumTensor> tensors, const Arch& arch,
                         const MapRules& rules, std::uint32_t resident)
    : dims_(static_cast<int>(einsum.loops.size())), levels_(static_cast<int>(arch.levels.size())) {
  std::uint32_t all = 0;
  for (std::size_t dim = 0; dim < einsum.loops.size(); ++dim) {
    extents_.push_back(einsum.loops[dim].extent);
    all |= einsum.loops[dim].extent > 1 ? std::uint32_t{1} << dim : 0U;
  }
  for (int level = 0; level < levels_; ++level) {
    const auto l = static_cast<std::size_t>(level);
    const LevelRule& rule = rules.levels[l];
    const Grid fan_out = arch.fan_out(level);
    if (fan_out.x > 1 && (rule.spatial_x & all) != 0) {
      slots_.push_back({level, LoopKind::spatial_x, rule.spatial_x & all, fan_out.x});
    }
    if (fan_out.y > 1 && (rule.spatial_y & all) != 0) {
      slots_.push_back({level, LoopKind::spatial_y, rule.spatial_y & all, fan_out.y});
    }
    if ((rule.temporal & all) != 0 || level + 1 == levels_) {
      slots_.push_back({level, LoopKind::temporal, rule.temporal & all, 0});
    }
    for (std::size_t tensor = 0; tensor < tensors.size(); ++tensor) {
      if (arch.levels[l].keeps.at(static_cast<std::size_t>(tensors[tensor].role))) {
        keepable_[l] |= std::uint32_t{1} << tensor;
      }
    }
    optional_[l] = level + 1 == levels_ || !rules.bypass ? 0U : keepable_[l];
    optional_[l] &= level == arch.resident_level() ? ~resident : ~0U;
  }
  make_orders(tensors, rules);
}

void TilingSpace::make_orders(std::span<const EinsumTensor> tensors, const MapRules& rules) {
  const std::uint32_t sliding = sliding_loops(tensors);
  for (int level = 0; level < levels_; ++level) {
    const auto l = static_cast<std::size_t>(level);
    std::vector<int> loops;
    std::uint32_t allowed = 0;
    for (const Slot& slot : slots_) {
      allowed |= slot.level == level && slot.kind == LoopKind::temporal ? slot.dims : 0U;
    }
    for (int dim = 0; dim < dims_; ++dim) {
      if (has(allowed, dim)) {
        loops.push_back(dim);
      }
    }
    if (!rules.levels[l].order.empty()) {
      std::vector<int> order;
      std::copy_if(loops.begin(), loops.end(), std::back_inserter(order), [&](int loop) {
        const auto& given = rules.levels[l].order;
        return std::find(given.begin(), given.end(), loop) == given.end();
      });
      std::copy_if(rules.levels[l].order.begin(), rules.levels[l].order.end(), std::back_inserter(order),
                   [&](int loop) { return has(allowed, loop); });
      orders_[l] = {order};
      continue;
    }
    std::vector<std::size_t> permutation(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      permutation[i] = i;
    }
    do {
      if (rules.stationary && tensors[permutation[0]].role != *rules.stationary) {
        continue;
      }
      std::vector<std::uint32_t> priority;
      for (const std::size_t tensor : permutation) {
        priority.push_back(loops_of(tensors[tensor]));
      }
      for (int innermost = -1; innermost < dims_; ++innermost) {
        if (innermost < 0 || (has(sliding, innermost) && has(allowed, innermost))) {
          std::vector<int> order = order_for(loops, priority, innermost);
          if (std::find(orders_[l].begin(), orders_[l].end(), order) == orders_[l].end()) {
            orders_[l].push_back(std::move(order));
          }
        }
      }
    } while (std::next_permutation(permutation.begin(), permutation.end()));
  }
}

Tiling TilingSpace::smallest() const {
  Tiling tiling;
  for (auto& steps : tiling.steps) {
    steps.fill(1);
  }
  tiling.kept = keepable_;
  return tiling;
}

std::int64_t TilingSpace::rest(const Tiling& tiling, int slot, int dim) const {
  const auto d = static_cast<std::size_t>(dim);
  std::int64_t covered = 1;
  for (int inner = 0; inner < slot; ++inner) {
    covered *= tiling.steps[static_cast<std::size_t>(inner)][d];
    if (covered >= extents_[d]) {
      return 1;
    }
  }
  return (extents_[d] - 1) / covered + 1;
}

std::array<std::array<std::int64_t, kMaxDims>, kMaxLevels> TilingSpace::tiles(const Tiling& tiling) const {
  std::array<std::array<std::int64_t, kMaxDims>, kMaxLevels> result{};
  std::array<std::int64_t, kMaxDims> covered{};
  covered.fill(1);
  std::size_t slot = 0;
  for (int level = 0; level < levels_; ++level) {
    for (; slot < slots_.size() && slots_[slot].level == level; ++slot) {
      for (std::size_t dim = 0; dim < extents_.size(); ++dim) {
        const bool last = slot + 1 == slots_.size();
        covered[dim] = last ? extents_[dim] : std::min(extents_[dim], covered[dim] * tiling.steps[slot][dim]);
      }
    }
    result[static_cast<std::size_t>(level)] = covered;
  }
  return result;
}

bool TilingSpace::nest(const Tiling& tiling, LoopNest& nest) const {
  std::array<std::array<std::int64_t, kMaxDims>, kMaxSlots> extent;  // NOLINT(*-member-init): filled below
  std::array<std::int64_t, kMaxDims> covered{};
  covered.fill(1);
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    const bool spatial = slots_[slot].kind != LoopKind::temporal;
    std::int64_t instances = 1;
    for (std::size_t dim = 0; dim < extents_.size(); ++dim) {
      const std::int64_t before = covered[dim];
      const bool last = slot + 1 == slots_.size();
      covered[dim] = last ? extents_[dim] : std::min(extents_[dim], before * tiling.steps[slot][dim]);
      extent[slot][dim] = covered[dim] == before ? 0 : covered[dim];
      if (spatial && covered[dim] > before) {
        instances *= (covered[dim] - 1) / before + 1;
      }
    }
    if (spatial && instances > slots_[slot].limit) {
      return false;
    }
  }
  for (int level = 0; level < levels_; ++level) {
    nest.levels[static_cast<std::size_t>(level)].size = 0;
    nest.levels[static_cast<std::size_t>(level)].kept = tiling.kept[static_cast<std::size_t>(level)];
  }
  // Outermost first: the slots of a level backwards.
  for (std::size_t slot = slots_.size(); slot-- > 0;) {
    LevelNest& loops = nest.levels[static_cast<std::size_t>(slots_[slot].level)];
    if (slots_[slot].kind == LoopKind::temporal) {
      const auto level = static_cast<std::size_t>(slots_[slot].level);
      for (const int dim : orders_[level][tiling.order[level]]) {
        if (extent[slot][static_cast<std::size_t>(dim)] > 0) {
          loops.add(dim, LoopKind::temporal, extent[slot][static_cast<std::size_t>(dim)]);
        }
      }
      continue;
    }
    for (int dim = dims_; dim-- > 0;) {
      if (extent[slot][static_cast<std::size_t>(dim)] > 0) {
        loops.add(dim, slots_[slot].kind, extent[slot][static_cast<std::size_t>(dim)]);
      }
    }
  }
  return true;
}

}  // namespace cosearch::asic
