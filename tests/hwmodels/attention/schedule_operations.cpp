#include "tests/hwmodels/attention/schedule_operations.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "spaces/base/check.hpp"

namespace cosearch::testing {
namespace {

using attention::Arch;
using attention::Extent;
using attention::PeKind;
using attention::Unit;
using attention::Work;

std::size_t index(std::int64_t number) { return static_cast<std::size_t>(number); }

/// Uses of units one by one: where they are chained, different units work at the same time.
std::int64_t cycles_of_operation(const Work& work, const PeKind& kind) {
  std::map<Unit, std::int64_t> uses;
  for (const Unit unit : {Unit::mac, Unit::add, Unit::max, Unit::exp, Unit::divide}) {
    const bool there = kind.has[static_cast<std::size_t>(unit)];
    for (std::int64_t use = 0; use < work.operation[unit]; ++use) {
      uses[there ? unit : Unit::mac] += !there && unit == Unit::exp ? kind.macs_of_exponential : 1;
    }
  }
  std::int64_t sum = 0;
  std::int64_t most = 0;
  for (const auto& [unit, count] : uses) {
    sum += count;
    most = std::max(most, count);
  }
  return kind.chained ? most : sum;
}

/// Points of a nest by the cycle in which they are computed, ranks `down` and `along` spread over the array. The last
/// rank is that of the positions.
std::vector<std::int64_t> spread(const std::vector<std::int64_t>& extents, std::size_t down, std::size_t along,
                                 const Arch& arch, const std::vector<bool>& inside) {
  struct Cycle {
    std::int64_t operations = 0;
    std::int64_t useful = 0;
  };
  std::map<std::vector<std::int64_t>, Cycle> cycles;
  std::vector<std::int64_t> point(extents.size(), 0);
  for (bool more = true; more;) {
    std::vector<std::int64_t> time = point;
    if (down < time.size()) {
      time[down] /= arch.rows;
    }
    if (along < time.size()) {
      time[along] /= arch.columns;
    }
    Cycle& cycle = cycles[time];
    ++cycle.operations;
    cycle.useful += inside[index(point.back())] ? 1 : 0;
    COSEARCH_CHECK(cycle.operations <= arch.rows * arch.columns, "more operations than elements");
    more = false;
    for (std::size_t i = 0; i < point.size() && !more; ++i) {
      more = ++point[i] < extents[i];
      point[i] = more ? point[i] : 0;
    }
  }
  std::vector<std::int64_t> useful;
  for (const auto& [time, cycle] : cycles) {
    useful.push_back(cycle.useful);
  }
  return useful;
}

/// The spread of the fewest cycles; pairs have their element each and walk the inner ranks.
std::vector<std::int64_t> on_the_array(const Work& work, const Arch& arch, const std::vector<bool>& inside) {
  if (work.extent == Extent::tile) {
    return std::vector<std::int64_t>(index(work.inner_points()), std::count(inside.begin(), inside.end(), true));
  }
  std::vector<std::int64_t> extents = work.inner;
  extents.push_back(std::ssize(inside));
  std::optional<std::vector<std::int64_t>> best;
  for (std::size_t down = 0; down <= extents.size(); ++down) {
    for (std::size_t along = 0; along <= extents.size(); ++along) {
      if (down != along || down == extents.size()) {
        std::vector<std::int64_t> useful = spread(extents, down, along, arch, inside);
        if (!best || useful.size() < best->size()) {
          best = std::move(useful);
        }
      }
    }
  }
  return *best;
}

std::vector<std::int64_t> on_the_lanes(const Work& work, const Arch& arch, std::vector<bool> inside) {
  std::int64_t turns = work.inner_points();
  if (!of_rows(work.extent) && work.extent != Extent::key) {  // no positions: inner points lie along the lanes
    inside.assign(index(turns), true);
    turns = 1;
  }
  std::vector<std::int64_t> useful;
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    for (std::size_t i = 0; i < inside.size(); ++i) {
      if (i % index(arch.lanes) == 0) {
        useful.push_back(0);
      }
      useful.back() += inside[i] ? 1 : 0;
    }
  }
  return useful;
}

}  // namespace

bool of_rows(Extent extent) { return extent == Extent::tile || extent == Extent::step || extent == Extent::row; }
bool of_keys(Extent extent) {
  return extent == Extent::tile || extent == Extent::step || extent == Extent::key || extent == Extent::key_step;
}
bool of_both(Extent extent) { return of_rows(extent) && of_keys(extent); }

std::vector<bool> positions_inside(Extent extent, const Arch& arch, const attention::Shape& shape, std::int64_t rows,
                                   std::int64_t keys) {
  const bool walks_keys = extent == Extent::tile || extent == Extent::key;
  std::vector<bool> inside;
  for (std::int64_t row = 0; row < (of_rows(extent) ? arch.columns : 1); ++row) {
    const bool row_inside = !of_rows(extent) || rows * arch.columns + row < shape.rows;
    for (std::int64_t key = 0; key < (walks_keys ? arch.rows : 1); ++key) {
      inside.push_back(row_inside && (!walks_keys || keys * arch.rows + key < shape.keys));
    }
  }
  return inside;
}

std::vector<std::int64_t> cycles_of_task(const Work& work, bool on_array, const Arch& arch,
                                         const std::vector<bool>& inside) {
  const std::int64_t repeats = cycles_of_operation(work, on_array ? arch.array : arch.lane);
  std::vector<std::int64_t> cycles;
  for (const std::int64_t useful : on_array ? on_the_array(work, arch, inside) : on_the_lanes(work, arch, inside)) {
    cycles.insert(cycles.end(), index(repeats), useful);
  }
  return cycles;
}

}  // namespace cosearch::testing
