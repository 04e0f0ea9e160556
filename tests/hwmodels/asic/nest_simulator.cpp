#include "tests/hwmodels/asic/nest_simulator.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace cosearch::testing {
namespace {

using asic::Arch;
using asic::Counts;
using asic::LoopNest;
using Values = std::vector<std::int64_t>;
using Elements = std::set<Values>;

struct Loop {
  int level = 0;
  std::size_t dim = 0;
  bool spatial = false;
  std::int64_t step = 1;
  std::int64_t steps = 1;
};

/// Outermost first.
std::vector<Loop> loops_of(const LoopNest& nest, int levels) {
  std::vector<Loop> loops;
  std::map<std::size_t, std::int64_t> covered;
  for (int level = 0; level < levels; ++level) {
    const auto span = nest.levels[static_cast<std::size_t>(level)].loops();
    for (auto loop = span.rbegin(); loop != span.rend(); ++loop) {
      const auto dim = static_cast<std::size_t>(loop->dim);
      const std::int64_t step = covered.count(dim) > 0 ? covered[dim] : 1;
      loops.push_back({level, dim, loop->kind != asic::LoopKind::temporal, step, (loop->extent + step - 1) / step});
      covered[dim] = loop->extent;
    }
  }
  std::reverse(loops.begin(), loops.end());
  return loops;
}

/// All combinations of steps of some loops, in the order of execution.
std::vector<Values> combinations(const std::vector<Loop>& loops) {
  std::vector<Values> all{{}};
  for (const Loop& loop : loops) {
    std::vector<Values> next;
    for (const Values& values : all) {
      for (std::int64_t i = 0; i < loop.steps; ++i) {
        next.push_back(values);
        next.back().push_back(i);
      }
    }
    all = std::move(next);
  }
  return all;
}

struct Region {
  bool active = true;
  Values low, size;
};

class Simulator {
 public:
  Simulator(const ir::Einsum& einsum, const Arch& arch, const LoopNest& nest, ir::FootprintKind footprint)
      : einsum_(einsum),
        arch_(arch),
        footprint_(footprint),
        loops_(loops_of(nest, static_cast<int>(arch.levels.size()))) {}

  /// Where the instance `place` works at time `time`, both of the loops beyond `level`.
  [[nodiscard]] Region region(int level, const Values& time, const Values& place) const {
    Region region;
    for (const ir::Loop& loop : einsum_.loops) {
      region.low.push_back(0);
      region.size.push_back(loop.extent);
    }
    std::size_t t = 0;
    std::size_t p = 0;
    for (const Loop& loop : loops_) {
      if (loop.level <= level) {
        break;
      }
      const std::int64_t at = (loop.spatial ? place[p++] : time[t++]) * loop.step;
      region.active = region.active && at < region.size[loop.dim];
      region.low[loop.dim] += at;
      region.size[loop.dim] = std::min(loop.step, region.size[loop.dim] - at);
    }
    return region;
  }

  [[nodiscard]] std::vector<Loop> beyond(int level, bool spatial) const {
    std::vector<Loop> some;
    std::copy_if(loops_.begin(), loops_.end(), std::back_inserter(some),
                 [&](const Loop& loop) { return loop.level > level && loop.spatial == spatial; });
    return some;
  }

  /// Elements that a region touches: each of them, or everything in their bounding box.
  [[nodiscard]] Elements touched(const ir::Access& access, const Region& region) const {
    std::vector<std::set<std::int64_t>> by_axis;
    for (const ir::AxisIndex& axis : access.axes) {
      std::set<std::int64_t> values{axis.offset};
      for (const ir::Term& term : axis.terms) {
        const auto loop = static_cast<std::size_t>(term.loop);
        std::set<std::int64_t> next;
        for (const std::int64_t value : values) {
          for (std::int64_t i = 0; i < region.size[loop]; ++i) {
            next.insert(value + term.coefficient * (region.low[loop] + i));
          }
        }
        values = std::move(next);
      }
      if (footprint_ == ir::FootprintKind::hull) {
        const std::int64_t last = *values.rbegin();
        for (std::int64_t value = *values.begin(); value <= last; ++value) {
          values.insert(value);
        }
      }
      by_axis.push_back(std::move(values));
    }
    Elements elements{{}};
    for (const auto& values : by_axis) {
      Elements next;
      for (const Values& element : elements) {
        for (const std::int64_t value : values) {
          Values longer = element;
          longer.push_back(value);
          next.insert(std::move(longer));
        }
      }
      elements = std::move(next);
    }
    return elements;
  }

  /// What instances with equal tiles have in common: the first index of each axis and the extents of the loops in it.
  static Values signature(const ir::Access& access, const Region& region) {
    Values values;
    for (const ir::AxisIndex& axis : access.axes) {
      std::int64_t first = axis.offset;
      for (const ir::Term& term : axis.terms) {
        first += term.coefficient * region.low[static_cast<std::size_t>(term.loop)];
        values.push_back(region.size[static_cast<std::size_t>(term.loop)]);
      }
      values.push_back(first);
    }
    return values;
  }

  /// Instances with equal paths get one delivery: their way from the instance of `outer` inwards.
  [[nodiscard]] Values path(const ir::Access& access, int inner, int outer, const Values& time, const Values& place,
                            bool output) const {
    Values path = first_of(place, outer);
    for (int level = outer; level > inner; --level) {
      const asic::MemoryLevel& memory = arch_.levels[static_cast<std::size_t>(level)];
      path.push_back(-1);
      if (output ? memory.spatial_reduction : memory.multicast) {
        const Values equal = signature(access, region(level - 1, time, place));
        path.insert(path.end(), equal.begin(), equal.end());
      } else {
        const Values here = first_of(place, level - 1);
        const auto known = static_cast<std::ptrdiff_t>(beyond(level, true).size());
        path.insert(path.end(), here.begin() + known, here.end());
      }
    }
    return path;
  }

  /// The part of a place that names the instance of `level`.
  [[nodiscard]] Values first_of(const Values& place, int level) const {
    const std::size_t size = beyond(level, true).size();
    return {place.begin(), place.begin() + static_cast<std::ptrdiff_t>(size)};
  }

  const ir::Einsum& einsum_;
  const Arch& arch_;
  ir::FootprintKind footprint_;
  std::vector<Loop> loops_;
};

struct Instance {
  bool holds_tile = false;
  Elements resident, had;
  std::int64_t reads = 0, writes = 0;
};
using Instances = std::map<Values, Instance>;

/// The transfers of one tensor between level `inner` (or the MACs) and the next level that keeps it.
class Transfer {
 public:
  Transfer(const Simulator& simulator, const ir::Access& access, bool output, int inner, int outer)
      : simulator_(simulator), access_(access), output_(output), inner_(inner), outer_(outer) {}

  void run(Instances& inside, Instances& outside, asic::TensorTraffic* in, asic::TensorTraffic& out) {
    const std::vector<Loop> temporal = simulator_.beyond(inner_, false);
    Values before;
    for (const Values& time : combinations(temporal)) {
      std::set<Values> served;
      const bool slide = slides(temporal, before, time);
      if (!slide && moves(temporal, before, time)) {
        for (auto& [place, instance] : inside) {
          instance.holds_tile = false;
        }
      }
      for (const Values& place : combinations(simulator_.beyond(inner_, true))) {
        const Region region = simulator_.region(inner_, time, place);
        if (!region.active) {
          continue;
        }
        const Elements moved = load(region, inside[place], slide);
        out.delivered += static_cast<std::int64_t>(moved.size());
        if (in != nullptr) {
          fill(moved, inside[place], *in);
        }
        if (served.insert(simulator_.path(access_, inner_, outer_, time, place, output_)).second) {
          serve(moved, outside[simulator_.first_of(place, outer_)], out);
        }
      }
      before = time;
    }
  }

 private:
  /// Only the innermost loop with more than one step advanced.
  static bool slides(const std::vector<Loop>& temporal, const Values& before, const Values& now) {
    std::size_t innermost = temporal.size();
    std::size_t advanced = temporal.size();
    for (std::size_t i = 0; i < temporal.size(); ++i) {
      innermost = temporal[i].steps > 1 ? i : innermost;
      advanced = !before.empty() && advanced == temporal.size() && before[i] != now[i] ? i : advanced;
    }
    return advanced < temporal.size() && advanced == innermost;
  }

  /// A loop that moves the tile advanced or began again.
  [[nodiscard]] bool moves(const std::vector<Loop>& temporal, const Values& before, const Values& now) const {
    for (std::size_t i = 0; i < before.size(); ++i) {
      for (const ir::AxisIndex& axis : access_.axes) {
        for (const ir::Term& term : axis.terms) {
          if (static_cast<std::size_t>(term.loop) == temporal[i].dim && before[i] != now[i]) {
            return true;
          }
        }
      }
    }
    return false;
  }

  [[nodiscard]] Elements load(const Region& region, Instance& instance, bool slides) const {
    const Elements needed = simulator_.touched(access_, region);
    if (inner_ < 0) {
      return needed;
    }
    Elements moved;
    if (slides) {
      std::set_difference(needed.begin(), needed.end(), instance.resident.begin(), instance.resident.end(),
                          std::inserter(moved, moved.end()));
    } else if (!instance.holds_tile) {
      moved = needed;
    }
    instance.holds_tile = true;
    instance.resident = needed;
    return moved;
  }

  void fill(const Elements& moved, Instance& instance, asic::TensorTraffic& in) const {
    in.tile = std::max(in.tile, static_cast<std::int64_t>(instance.resident.size()));
    for (const Values& element : moved) {
      const bool comes_back = !instance.had.insert(element).second;
      in.fills += !output_ || comes_back ? 1 : 0;
      instance.writes += !output_ || comes_back ? 1 : 0;
    }
  }

  void serve(const Elements& moved, Instance& instance, asic::TensorTraffic& out) const {
    for (const Values& element : moved) {
      if (!output_) {
        ++out.reads;
        ++instance.reads;
        continue;
      }
      ++out.updates;
      ++instance.writes;
      if (!instance.had.insert(element).second) {
        ++out.reads;
        ++out.temporal_reductions;
        ++instance.reads;
      }
    }
  }

  const Simulator& simulator_;
  const ir::Access& access_;
  bool output_;
  int inner_, outer_;
};

void count_computing(const Simulator& simulator, Counts& counts) {
  std::set<Values> used;
  for (const Values& time : combinations(simulator.beyond(-1, false))) {
    bool busy = false;
    for (const Values& place : combinations(simulator.beyond(-1, true))) {
      if (simulator.region(-1, time, place).active) {
        ++counts.macs;
        busy = true;
        used.insert(place);
      }
    }
    counts.compute_cycles += busy ? 1 : 0;
  }
  counts.mac_instances = static_cast<std::int64_t>(used.size());
  counts.cycles = counts.compute_cycles;
}

std::int64_t cycles_of(std::int64_t words, const std::optional<double>& bandwidth) {
  return bandwidth ? static_cast<std::int64_t>(std::ceil(static_cast<double>(words) / *bandwidth)) : 0;
}

std::int64_t instances_of(const Simulator& simulator, int level) {
  std::set<Values> used;
  for (const Values& time : combinations(simulator.beyond(level, false))) {
    for (const Values& place : combinations(simulator.beyond(level, true))) {
      if (simulator.region(level, time, place).active) {
        used.insert(place);
      }
    }
  }
  return static_cast<std::int64_t>(used.size());
}

}  // namespace

Counts simulate(const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch, const LoopNest& nest,
                ir::FootprintKind footprint) {
  const Simulator simulator(einsum, arch, nest, footprint);
  const std::vector<asic::EinsumTensor> tensors = asic::einsum_tensors(workload, einsum);
  Counts counts;
  counts.level_count = static_cast<int>(arch.levels.size());
  counts.tensor_count = static_cast<int>(tensors.size());
  count_computing(simulator, counts);
  std::vector<std::map<Values, std::pair<std::int64_t, std::int64_t>>> words(arch.levels.size());
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    int inner = -1;
    for (int level = 0; level < counts.level_count; ++level) {
      const auto l = static_cast<std::size_t>(level);
      if (!nest.levels[l].keeps(static_cast<int>(t))) {
        continue;
      }
      Instances inside;
      Instances outside;
      auto& out = counts.levels[l].tensors[t];
      auto* in = inner < 0 ? nullptr : &counts.levels[static_cast<std::size_t>(inner)].tensors[t];
      Transfer(simulator, *tensors[t].access, tensors[t].role == asic::Role::output, inner, level)
          .run(inside, outside, in, out);
      out.spatial_reductions = tensors[t].role == asic::Role::output ? out.delivered - out.updates : 0;
      for (const auto& [place, instance] : outside) {
        words[l][place].first += instance.reads;
        words[l][place].second += instance.writes;
      }
      for (const auto& [place, instance] : inside) {
        if (inner >= 0) {
          words[static_cast<std::size_t>(inner)][place].second += instance.writes;
        }
      }
      inner = level;
    }
    // The outermost level holds the whole tensor.
    const Region whole = simulator.region(counts.level_count - 1, {}, {});
    counts.levels[arch.levels.size() - 1].tensors[t].tile =
        static_cast<std::int64_t>(simulator.touched(*tensors[t].access, whole).size());
  }
  for (std::size_t l = 0; l < arch.levels.size(); ++l) {
    asic::LevelCounts& level = counts.levels[l];
    level.instances = instances_of(simulator, static_cast<int>(l));
    for (const asic::TensorTraffic& tensor : level.tensors) {
      level.words += tensor.tile;
    }
    for (const auto& [place, sums] : words[l]) {
      level.cycles = std::max({level.cycles, cycles_of(sums.first, arch.levels[l].read_bandwidth),
                               cycles_of(sums.second, arch.levels[l].write_bandwidth)});
    }
    counts.cycles = std::max(counts.cycles, level.cycles);
  }
  return counts;
}

}  // namespace cosearch::testing
