// Fusion::tiles: everything between inputs and outputs stays on the chip.
#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/attention/design.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::attention {
namespace {

std::size_t at(Extent extent) { return static_cast<std::size_t>(extent); }

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The largest divisor of n that is at most `limit` (>= 1).
std::int64_t largest_divisor(std::int64_t n, std::int64_t limit) {
  if (limit >= n) {
    return n;
  }
  // From both ends: the smallest cofactors first, then what is left of the divisors below the root.
  std::int64_t cofactor = ceil_div(n, limit);
  for (; cofactor * cofactor <= n; ++cofactor) {
    if (n % cofactor == 0) {
      return n / cofactor;
    }
  }
  std::int64_t divisor = std::min(limit, n / cofactor);
  while (n % divisor != 0) {
    --divisor;
  }
  return divisor;
}

/// Streamed elements that the first `rows` rows need.
std::int64_t keys_of(const Shape& shape, std::int64_t rows) {
  return shape.causal ? std::clamp<std::int64_t>(rows + shape.keys - shape.rows, 0, shape.keys) : shape.keys;
}

double dot(const std::array<double, kExtents>& a, const std::array<double, kExtents>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < kExtents; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

}  // namespace

double wrapped_reads(double elements, double tile) noexcept {
  constexpr double kLargest = 9007199254740992.0;  // 2^53: beyond it doubles are no exact integers
  if (!(elements > 0.0) || !(tile >= 1.0) || elements > kLargest || tile > kLargest) {
    return 0.0;
  }
  const auto size = static_cast<std::uint64_t>(tile);
  const std::uint64_t product = static_cast<std::uint64_t>(elements) * size;  // wraps as it does there
  return elements - static_cast<double>(product / size);
}

double Design::overflow_reads(const PerExtent& points, std::int64_t chunk_rows) const {
  const auto rows = static_cast<double>(chunk_rows);
  double reads = 0.0;
  for (const double inner : words_.tile_outputs) {
    reads += wrapped_reads(inner * points[at(Extent::tile)], inner * rows * static_cast<double>(arch_.rows));
  }
  for (const double inner : words_.step_outputs) {
    reads += wrapped_reads(inner * points[at(Extent::step)], inner * rows);
  }
  return reads;
}

Design::PerExtent Design::repetitions(const Shape& shape) const {
  const std::int64_t row_tiles = ceil_div(shape.rows, arch_.columns);
  const std::int64_t key_tiles = ceil_div(shape.keys, arch_.rows);
  std::int64_t tiles = row_tiles * key_tiles;
  if (shape.causal) {
    tiles = 0;
    for (std::int64_t i = 1; i <= row_tiles; ++i) {
      tiles += ceil_div(keys_of(shape, std::min(i * arch_.columns, shape.rows)), arch_.rows);
    }
  }
  const auto instances = static_cast<double>(shape.instances);
  PerExtent result{};
  result[at(Extent::tile)] = result[at(Extent::step)] = instances * static_cast<double>(tiles);
  result[at(Extent::row)] = instances * static_cast<double>(row_tiles);
  result[at(Extent::key)] = result[at(Extent::key_step)] = instances * static_cast<double>(key_tiles);
  result[at(Extent::head)] = instances;
  return result;
}

Design::PerExtent Design::points(const Shape& shape) const {
  const auto instances = static_cast<double>(shape.instances);
  const auto rows = static_cast<double>(shape.rows);
  const auto keys = static_cast<double>(shape.keys);
  PerExtent result{};
  result[at(Extent::row)] = instances * rows;
  result[at(Extent::key)] = instances * keys;
  result[at(Extent::key_step)] = instances * static_cast<double>(ceil_div(shape.keys, arch_.rows));
  result[at(Extent::head)] = instances;
  if (shape.causal) {  // what the tiles that are not left out hold
    const double whole = static_cast<double>(ceil_div(shape.rows, arch_.columns)) *
                         static_cast<double>(ceil_div(shape.keys, arch_.rows));
    const double share = repetitions(shape)[at(Extent::tile)] / (instances * whole);
    result[at(Extent::tile)] = share * instances * rows * keys;
    result[at(Extent::step)] = share * rows * result[at(Extent::key_step)];
  } else {
    result[at(Extent::tile)] = instances * rows * keys;
    result[at(Extent::step)] = rows * result[at(Extent::key_step)];
  }
  return result;
}

double Design::useful_array_cycles(const PerExtent& points) const { return dot(useful_, points); }

void Design::finish(const PerExtent& points, AttentionCost& cost) const {
  cost.seconds = std::max(cost.compute_seconds, cost.memory_seconds);
  const double cycles = cost.seconds * arch_.frequency_hz;
  cost.lane_utilization = cost.lane_cycles / cycles;
  cost.macs = dot(macs_, points);
  cost.energy.array_units = dot(array_unit_pj_, points);
  cost.energy.lane_units = dot(lane_unit_pj_, points);
  if (choices_.complete_energy) {  // two operands read and a result written in each operation
    const double operations = dot(array_operations_, points) + dot(lane_operations_, points);
    cost.energy.registers = operations * (2.0 * prices_.register_read_pj + prices_.register_write_pj);
  }
  cost.energy.dram = cost.traffic_bytes * prices_.dram_pj_per_byte;
}

Expected<AttentionCost, Infeasible> Design::evaluate(const Shape& shape) const {
  COSEARCH_CHECK(shape.instances > 0 && shape.rows > 0 && shape.keys > 0, "a shape of positive sizes");
  switch (choices_.fusion) {
    case Fusion::tiles:
      return fused_tiles(shape);
    case Fusion::rows:
      return evaluate(shape, best_mapping(shape));
    case Fusion::none:
      return unfused(shape);
  }
  return fused_tiles(shape);
}

double Design::buffer_needed(std::int64_t row_tiles) const {
  const auto together = static_cast<double>(row_tiles);
  const double tiles = std::max(together, words_.tiles_in_flight);
  const double row_words = together * words_.per_row + tiles * words_.tile_per_row;
  return (row_words * static_cast<double>(arch_.columns) + words_.fixed) * static_cast<double>(arch_.word_bytes);
}

std::int64_t Design::row_tiles_that_fit(std::int64_t row_tiles) const {
  const auto buffer = static_cast<double>(arch_.buffer_bytes);
  if (buffer_needed(row_tiles) <= buffer) {
    return row_tiles;
  }
  const double state = (words_.per_row + words_.tile_per_row) * static_cast<double>(arch_.columns);
  const double left = buffer / static_cast<double>(arch_.word_bytes) - words_.fixed;
  auto fit = std::max<std::int64_t>(static_cast<std::int64_t>(std::floor(left / state)), 1);
  // Fewer than there are tiles in flight: room for these is taken in any case.
  while (static_cast<double>(fit) < words_.tiles_in_flight && buffer_needed(fit + 1) <= buffer) {
    ++fit;
  }
  return fit;
}

Expected<AttentionCost, Infeasible> Design::fused_tiles(const Shape& shape) const {
  const std::int64_t row_tiles = ceil_div(shape.rows, arch_.columns);
  const auto buffer = static_cast<double>(arch_.buffer_bytes);
  if (const double needed = buffer_needed(1); needed > buffer) {
    return Unexpected{
        Infeasible{{{"buffer_bytes", needed, buffer}},
                   fmt::format("the state of one tile of rows needs {:.0f} bytes of the buffer, there are {}", needed,
                               arch_.buffer_bytes)}};
  }
  const std::int64_t fit = row_tiles_that_fit(row_tiles);
  const std::int64_t chunk = choices_.even_chunks ? largest_divisor(row_tiles, fit) : fit;
  const std::int64_t chunks = ceil_div(row_tiles, chunk);

  AttentionCost cost;
  cost.chunk_rows = std::min(chunk * arch_.columns, shape.rows);
  cost.buffer_bytes = static_cast<std::int64_t>(buffer_needed(chunk));
  const PerExtent runs = repetitions(shape);
  const PerExtent all = points(shape);
  double cycles = 0.0;
  for (const SlotCycles& slot : slots_) {
    const double array = dot(slot.array, runs);
    const double lanes = dot(slot.lanes, runs);
    const double drains = dot(slot.drains, runs);
    cost.array_cycles += array;
    cost.lane_cycles += lanes;
    cost.drain_cycles += drains;
    cycles += std::max(array, lanes) + drains;
  }
  double chunk_keys = static_cast<double>(chunks) * static_cast<double>(shape.keys);
  if (shape.causal) {
    chunk_keys = 0.0;
    for (std::int64_t i = 1; i <= chunks; ++i) {
      chunk_keys += static_cast<double>(keys_of(shape, std::min(i * chunk * arch_.columns, shape.rows)));
    }
  }
  const auto instances = static_cast<double>(shape.instances);
  const double dram_words = words_.dram_rows * all[at(Extent::row)] + words_.dram_tiles * all[at(Extent::tile)] +
                            words_.dram_keys_chunk * instances * chunk_keys + words_.dram_keys * all[at(Extent::key)];
  cost.traffic_bytes = static_cast<double>(arch_.word_bytes) * dram_words;
  cost.compute_seconds = cycles / arch_.frequency_hz;
  cost.memory_seconds = cost.traffic_bytes / arch_.dram_bytes_per_second;
  finish(all, cost);
  cost.array_utilization = useful_array_cycles(all) / (cost.seconds * arch_.frequency_hz);
  const double key_tiles = all[at(Extent::tile)] / static_cast<double>(arch_.columns);
  const double reads = words_.read_step * all[at(Extent::step)] + words_.read_row * all[at(Extent::row)] +
                       words_.read_key_tile * key_tiles + words_.read_tile * all[at(Extent::tile)] +
                       (choices_.timeloop_overflow ? overflow_reads(all, chunk * arch_.columns) : 0.0);
  const double writes = words_.fill_rows * all[at(Extent::row)] + words_.dram_keys_chunk * instances * chunk_keys +
                        words_.dram_keys * all[at(Extent::key)] + words_.write_step * all[at(Extent::step)] +
                        words_.write_tile * all[at(Extent::tile)];
  cost.energy.buffer = reads * prices_.buffer.read_pj_per_word(arch_.priced()) +
                       writes * prices_.buffer.write_pj_per_word(arch_.priced());
  return cost;
}

std::vector<double> Design::work_cycles(const Shape& shape) const {
  const PerExtent runs = repetitions(shape);
  std::vector<double> result;
  for (std::size_t i = 0; i < profile_.works.size(); ++i) {
    const Work& work = profile_.works[i];
    result.push_back(static_cast<double>(cycles_[i]) * runs[at(work.extent)] *
                     (on_array_[i] ? array_cycles(work) : lane_cycles(work)));
  }
  return result;
}

}  // namespace cosearch::attention
