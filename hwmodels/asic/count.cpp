#include "hwmodels/asic/count.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "spaces/base/check.hpp"

namespace cosearch::asic {
namespace {

TileAxis prepare(const ir::AxisIndex& axis) {
  TileAxis prepared;
  std::int64_t* coefficient = nullptr;
  for (const ir::Term& term : axis.terms) {
    if (term.loop == prepared.loop_a || prepared.loop_a < 0) {
      coefficient = &prepared.a;
      *coefficient = prepared.loop_a < 0 ? term.coefficient : *coefficient + term.coefficient;
      prepared.loop_a = term.loop;
    } else {
      coefficient = &prepared.b;
      *coefficient = prepared.loop_b < 0 ? term.coefficient : *coefficient + term.coefficient;
      prepared.loop_b = term.loop;
    }
  }
  return prepared;
}

/// Loops whose coefficients add up to nothing do not move the tile.
void drop_zeros(TileAxis& axis) {
  if (axis.loop_b >= 0 && axis.b == 0) {
    axis.loop_b = -1;
  }
  if (axis.loop_a >= 0 && axis.a == 0) {
    axis.loop_a = axis.loop_b;
    axis.a = axis.b;
    axis.loop_b = -1;
  }
  axis.a = axis.loop_a < 0 ? 1 : std::abs(axis.a);
  axis.b = axis.loop_b < 0 ? 1 : std::abs(axis.b);
  // Alone, a loop gives a different value at every step.
  const std::int64_t divisor = axis.loop_b < 0 ? axis.a : std::gcd(axis.a, axis.b);
  axis.reduced_a = axis.a / divisor;
  axis.reduced_b = axis.loop_b < 0 ? 1 : axis.b / divisor;
}

TileAccess prepare(const ir::Access& access) {
  TileAccess prepared;
  for (const ir::AxisIndex& index : access.axes) {
    TileAxis axis = prepare(index);
    drop_zeros(axis);
    if (axis.loop_a < 0) {
      continue;
    }
    for (const int loop : {axis.loop_a, axis.loop_b}) {
      prepared.loops |= loop >= 0 ? std::uint32_t{1} << static_cast<unsigned>(loop) : 0U;
    }
    prepared.axes.at(static_cast<std::size_t>(prepared.axis_count++)) = axis;
  }
  return prepared;
}

Infeasible beyond(const std::string& name, std::int64_t required, std::int64_t limit, const std::string& reason) {
  return {{{name, static_cast<double>(required), static_cast<double>(limit)}}, reason};
}

std::int64_t cycles_of(std::int64_t words, const std::optional<double>& bandwidth) {
  return bandwidth ? static_cast<std::int64_t>(std::ceil(static_cast<double>(words) / *bandwidth)) : 0;
}

}  // namespace

/// Words of the first instance of each level.
struct NestCounter::FirstInstance {
  std::array<std::int64_t, kMaxLevels> reads{};
  std::array<std::int64_t, kMaxLevels> writes{};
};

NestCounter::NestCounter(const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch,
                         std::uint32_t resident)
    : arch_(arch), dims_(static_cast<int>(einsum.loops.size())), resident_(resident) {
  resident_level_ = resident == 0 ? -1 : arch.resident_level();
  COSEARCH_CHECK(resident == 0 || resident_level_ >= 0, "a level for resident tensors");
  macs_ = ir::iterations(einsum);
  const std::vector<EinsumTensor> tensors = einsum_tensors(workload, einsum);
  extents_.fill(1);
  std::transform(einsum.loops.begin(), einsum.loops.end(), extents_.begin(),
                 [](const ir::Loop& loop) { return loop.extent; });
  for (const EinsumTensor& tensor : tensors) {
    tensors_.push_back({prepare(*tensor.access), tensor.role, tensor.name});
  }
  for (std::size_t level = 0; level < arch.levels.size(); ++level) {
    multicast_ |= arch.levels[level].multicast ? std::uint32_t{1} << level : 0U;
    bounded_ |=
        arch.levels[level].read_bandwidth || arch.levels[level].write_bandwidth ? std::uint32_t{1} << level : 0U;
    reduction_ |= arch.levels[level].spatial_reduction ? std::uint32_t{1} << level : 0U;
  }
}

bool NestCounter::misfits(const LoopNest& nest, const FlatNest& flat) const {
  for (std::size_t level = 0; level < arch_.levels.size(); ++level) {
    const Grid fan_out = arch_.fan_out(static_cast<int>(level));
    if (flat.spatial[level].x > fan_out.x || flat.spatial[level].y > fan_out.y) {
      return true;
    }
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      if (nest.levels[level].keeps(static_cast<int>(tensor)) &&
          !arch_.levels[level].keeps.at(static_cast<std::size_t>(tensors_[tensor].role))) {
        return true;
      }
    }
  }
  return false;
}

Infeasible NestCounter::why_misfit(const LoopNest& nest, const FlatNest& flat) const {
  for (std::size_t level = 0; level < arch_.levels.size(); ++level) {
    const MemoryLevel& memory = arch_.levels[level];
    const Grid fan_out = arch_.fan_out(static_cast<int>(level));
    const Grid used = flat.spatial[level];
    if (used.x > fan_out.x || used.y > fan_out.y) {
      const bool x = used.x > fan_out.x;
      return beyond(fmt::format("{}_fan_out_{}", memory.name, x ? 'x' : 'y'), x ? used.x : used.y,
                    x ? fan_out.x : fan_out.y,
                    fmt::format("spatial loops of {} need {} x {} instances, there are {} x {}", memory.name, used.x,
                                used.y, fan_out.x, fan_out.y));
    }
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      if (nest.levels[level].keeps(static_cast<int>(tensor)) &&
          !memory.keeps.at(static_cast<std::size_t>(tensors_[tensor].role))) {
        return Infeasible{{}, fmt::format("{} cannot keep {}", memory.name, tensors_[tensor].name)};
      }
    }
  }
  COSEARCH_CHECK(false, "a nest that misfits");
}

Infeasible NestCounter::why_overfull(const Counts& counts) const {
  for (std::size_t level = 0; level < arch_.levels.size(); ++level) {
    const MemoryLevel& memory = arch_.levels[level];
    const std::int64_t words = counts.levels[level].words;
    if (words > memory.usable_words()) {
      return beyond(memory.name + "_words", words, memory.usable_words(),
                    fmt::format("tiles need {} words of {}, which has {}{}", words, memory.name, memory.usable_words(),
                                memory.double_buffered ? " for each of two buffers" : ""));
    }
  }
  COSEARCH_CHECK(false, "a level that is overfull");
}

bool NestCounter::overfull(const LoopNest& nest, const FlatNest& flat, ir::FootprintKind footprint, Counts& counts,
                           CheckedArithmetic& arithmetic) const {
  bool over = false;
  for (std::size_t level = 0; level < arch_.levels.size(); ++level) {
    LevelCounts& here = counts.levels[level];
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      const bool beyond = resident_level_ >= 0 && static_cast<int>(level) > resident_level_;
      if (nest.levels[level].keeps(static_cast<int>(tensor)) && !(beyond && resides(tensor, resident_level_))) {
        std::int64_t& tile = here.tensors[tensor].tile;
        tile = tile_elements(tensors_[tensor].access, flat.tile[level], footprint, arithmetic);
        here.words = resides(tensor, static_cast<int>(level)) ? here.words : arithmetic.add(here.words, tile);
      }
    }
    over = over || here.words > arch_.levels[level].usable_words();
  }
  return over;
}

bool NestCounter::holds(const std::array<std::array<std::int64_t, kMaxDims>, kMaxLevels>& tiles,
                        const std::array<std::uint32_t, kMaxLevels>& kept, ir::FootprintKind footprint) const {
  CheckedArithmetic arithmetic;
  for (std::size_t level = 0; level + 1 < arch_.levels.size(); ++level) {
    std::int64_t words = 0;
    for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
      if (((kept[level] >> tensor) & 1U) != 0 && !resides(tensor, static_cast<int>(level))) {
        words = arithmetic.add(words, tile_elements(tensors_[tensor].access, tiles[level], footprint, arithmetic));
      }
    }
    if (words > arch_.levels[level].usable_words()) {
      return false;
    }
  }
  return !arithmetic.overflow();
}

NestCounter::Obstacle NestCounter::run(const LoopNest& nest, const FlatNest& flat, ir::FootprintKind footprint,
                                       Counts& counts) const {
  COSEARCH_CHECK(flat.whole == extents_, "a nest covers its einsum");
  counts.level_count = static_cast<int>(arch_.levels.size());
  counts.tensor_count = static_cast<int>(tensors_.size());
  counts.macs = macs_;
  if (misfits(nest, flat)) {
    return Obstacle::misfit;
  }
  CheckedArithmetic arithmetic;
  const bool over = overfull(nest, flat, footprint, counts, arithmetic);
  if (over && !arithmetic.overflow()) {
    return Obstacle::overfull;
  }
  FirstInstance first;
  for (int level = 0; level < counts.level_count; ++level) {
    counts.levels[static_cast<std::size_t>(level)].instances = used_instances(flat, level, arithmetic);
  }
  counts.mac_instances = used_instances(flat, -1, arithmetic);
  for (int tensor = 0; tensor < counts.tensor_count; ++tensor) {
    count_tensor(nest, flat, tensor, footprint, counts, first, arithmetic);
  }
  counts.compute_cycles = time_steps(flat, arithmetic);
  count_cycles(first, counts);
  return arithmetic.overflow() ? Obstacle::overflow : Obstacle::none;
}

Expected<Counts, Infeasible> NestCounter::count(const LoopNest& nest, ir::FootprintKind footprint) const {
  const FlatNest flat(nest, static_cast<int>(arch_.levels.size()), dims_);
  Counts counts;
  switch (run(nest, flat, footprint, counts)) {
    case Obstacle::misfit:
      return Unexpected{why_misfit(nest, flat)};
    case Obstacle::overfull:
      return Unexpected{why_overfull(counts)};
    case Obstacle::overflow:
      return Unexpected{Infeasible{{}, "the nest's accesses do not fit in 64 bits"}};
    case Obstacle::none:
      break;
  }
  return counts;
}

bool NestCounter::try_count(const LoopNest& nest, ir::FootprintKind footprint, Counts& counts) const {
  const FlatNest flat(nest, static_cast<int>(arch_.levels.size()), dims_);
  counts = {};
  return run(nest, flat, footprint, counts) == Obstacle::none;
}

void NestCounter::count_tensor(const LoopNest& nest, const FlatNest& flat, int tensor, ir::FootprintKind footprint,
                               Counts& counts, FirstInstance& first, CheckedArithmetic& arithmetic) const {
  const Prepared& prepared = tensors_[static_cast<std::size_t>(tensor)];
  TileSum sum;
  sum.footprint = footprint;
  for (int level = 0; level < counts.level_count; ++level) {
    const auto l = static_cast<std::size_t>(level);
    if (!nest.levels[l].keeps(tensor)) {
      continue;
    }
    sum.outer = level;
    sum.merged = prepared.role == Role::output ? reduction_ : multicast_;
    set_reuse(flat, prepared.access, sum);
    count_transfer(flat, tensor, sum, counts, first, arithmetic);
    sum.inner = level;
    if (resides(static_cast<std::size_t>(tensor), level)) {
      return;
    }
  }
}

void NestCounter::count_transfer(const FlatNest& flat, int tensor, TileSum sum, Counts& counts, FirstInstance& first,
                                 CheckedArithmetic& arithmetic) const {
  const auto t = static_cast<std::size_t>(tensor);
  const auto outer = static_cast<std::size_t>(sum.outer);
  const TileAccess& access = tensors_[t].access;
  const bool output = tensors_[t].role == Role::output;
  TensorTraffic& out = counts.levels[outer].tensors[t];
  MovedElements moved(flat, access, arithmetic);
  const std::int64_t requests = moved.of(sum);
  TileSum separate = sum;
  separate.merged = 0;
  const bool merges = flat.has_spatial(sum.inner, sum.outer) && sum.merged != 0;
  out.delivered = merges ? moved.of(separate) : requests;
  if (output) {
    out.updates = requests;
    out.reads = requests - distinct_outputs(flat, access, sum.outer, false, arithmetic);
    out.temporal_reductions = out.reads;
    out.spatial_reductions = out.delivered - requests;
  } else {
    out.reads = requests;
  }
  if (sum.inner >= 0) {
    TensorTraffic& in = counts.levels[static_cast<std::size_t>(sum.inner)].tensors[t];
    in.fills = out.delivered - (output ? distinct_outputs(flat, access, sum.inner, false, arithmetic) : 0);
  }
  count_first(flat, tensor, sum, moved, counts, first, arithmetic);
}

void NestCounter::count_first(const FlatNest& flat, int tensor, TileSum sum, MovedElements& moved, const Counts& counts,
                              FirstInstance& first, CheckedArithmetic& arithmetic) const {
  const auto t = static_cast<std::size_t>(tensor);
  const TileAccess& access = tensors_[t].access;
  const bool output = tensors_[t].role == Role::output;
  sum.first = true;
  const auto bounded = [this](int level) { return ((bounded_ >> static_cast<unsigned>(level)) & 1U) != 0; };
  // Where all steps divide, all instances do the same.
  const auto alike = [&](std::size_t level) { return flat.divides || counts.levels[level].instances == 1; };
  if (bounded(sum.outer)) {
    const auto outer = static_cast<std::size_t>(sum.outer);
    const LevelCounts& here = counts.levels[outer];
    std::int64_t reads = here.tensors[t].reads / here.instances;
    std::int64_t updates = here.tensors[t].updates / here.instances;
    if (!alike(outer)) {
      const std::int64_t requests = moved.of(sum);
      updates = output ? requests : 0;
      reads = requests - (output ? distinct_outputs(flat, access, sum.outer, true, arithmetic) : 0);
    }
    first.reads[outer] = arithmetic.add(first.reads[outer], reads);
    first.writes[outer] = arithmetic.add(first.writes[outer], updates);
  }
  if (sum.inner >= 0 && bounded(sum.inner)) {
    const auto inner = static_cast<std::size_t>(sum.inner);
    const LevelCounts& here = counts.levels[inner];
    std::int64_t fills = here.tensors[t].fills / here.instances;
    if (!alike(inner)) {
      sum.outer = sum.inner;
      fills = moved.of(sum) - (output ? distinct_outputs(flat, access, sum.inner, true, arithmetic) : 0);
    }
    first.writes[inner] = arithmetic.add(first.writes[inner], fills);
  }
}

void NestCounter::count_cycles(const FirstInstance& first, Counts& counts) const {
  counts.cycles = counts.compute_cycles;
  for (std::size_t level = 0; level < arch_.levels.size(); ++level) {
    const MemoryLevel& memory = arch_.levels[level];
    LevelCounts& here = counts.levels[level];
    const std::int64_t reading = cycles_of(first.reads[level], memory.read_bandwidth);
    const std::int64_t writing = cycles_of(first.writes[level], memory.write_bandwidth);
    here.cycles = memory.ports == 1 ? reading + writing : std::max(reading, writing);
    counts.cycles = std::max(counts.cycles, here.cycles);
  }
}

std::array<std::array<std::int64_t, kMaxTensors>, kMaxLevels> NestCounter::partition_sizes(const LoopNest& nest) const {
  const int levels = static_cast<int>(arch_.levels.size());
  const FlatNest flat(nest, levels, dims_);
  CheckedArithmetic arithmetic;
  std::array<std::array<std::int64_t, kMaxTensors>, kMaxLevels> sizes{};
  for (std::size_t tensor = 0; tensor < tensors_.size(); ++tensor) {
    const TileAccess& access = tensors_[tensor].access;
    const auto elements = [&](const std::array<std::int64_t, kMaxDims>& extents) {
      return tile_elements(access, extents, ir::FootprintKind::hull, arithmetic);
    };
    std::int64_t partition = elements(flat.whole);
    for (int level = levels - 1; level >= 0; --level) {
      const auto l = static_cast<std::size_t>(level);
      if (level < levels - 1) {
        std::array<std::int64_t, kMaxDims> together = flat.tile[l];
        for (int i = flat.outside[l + 1]; i < flat.outside[l + 2]; ++i) {
          const FlatNest::Step& step = flat.steps[static_cast<std::size_t>(i)];
          if (step.spatial) {
            together[static_cast<std::size_t>(step.dim)] = step.extent;
          }
        }
        partition = arithmetic.multiply(partition, elements(flat.tile[l])) / elements(together);
      }
      sizes[l][tensor] = partition;
    }
  }
  COSEARCH_CHECK(!arithmetic.overflow(), "partition sizes of a nest that cannot be counted");
  return sizes;
}

Expected<Counts, Infeasible> count(const ir::Workload& workload, const ir::Einsum& einsum, const Arch& arch,
                                   const LoopNest& nest, ir::FootprintKind footprint) {
  return NestCounter(workload, einsum, arch).count(nest, footprint);
}

}  // namespace cosearch::asic
