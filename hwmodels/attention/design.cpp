#include "hwmodels/attention/design.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "spaces/base/check.hpp"

namespace cosearch::attention {
namespace {

std::size_t at(Extent extent) { return static_cast<std::size_t>(extent); }

double ceil_div(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = (a + b - 1) / b;
  return static_cast<double>(quotient);
}

/// Cycles of a nest on `rows` x `columns` elements, two of its ranks spread over them, the others walked.
double best_spread(const std::vector<std::int64_t>& extents, std::int64_t rows, std::int64_t columns) {
  double best = std::numeric_limits<double>::infinity();
  const std::size_t ranks = extents.size();
  for (std::size_t r = 0; r <= ranks; ++r) {  // `ranks` stands for none
    for (std::size_t c = 0; c <= ranks; ++c) {
      if (r == c && r != ranks) {
        continue;
      }
      double cycles = 1.0;
      for (std::size_t i = 0; i < ranks; ++i) {
        cycles *= i == r   ? ceil_div(extents[i], rows)
                  : i == c ? ceil_div(extents[i], columns)
                           : static_cast<double>(extents[i]);
      }
      best = std::min(best, cycles);
    }
  }
  return best;
}

bool is_streamed_tile(const TensorUse& tensor) { return tensor.extent == Extent::tile; }

}  // namespace

const char* bound_of(const AttentionCost& cost, double frequency_hz) noexcept {
  constexpr double kFull = 0.999;
  if (cost.memory_seconds > cost.compute_seconds) {
    return "dram_bandwidth";
  }
  const double cycles = cost.compute_seconds * frequency_hz * kFull;
  return cost.lane_cycles >= cycles ? "lanes" : (cost.array_cycles >= cycles ? "array" : "dependences");
}

Expected<Design, Infeasible> Design::make(Profile profile, const Arch& arch, const Choices& choices,
                                          const Prices& prices) {
  COSEARCH_CHECK(arch.rows > 0 && arch.columns > 0 && arch.lanes > 0 && arch.frequency_hz > 0.0 &&
                     arch.dram_bytes_per_second > 0.0,
                 "an architecture of positive sizes");
  Design design(std::move(profile), arch, choices, prices);
  if (auto obstacle = design.place_works()) {
    return Unexpected{*std::move(obstacle)};
  }
  if (choices.fusion == Fusion::tiles) {
    if (design.profile_.passes > 1) {
      std::vector<std::string> whole;
      for (const TensorUse& tensor : design.profile_.tensors) {
        if (tensor.whole_fiber) {
          whole.push_back(tensor.name);
        }
      }
      return Unexpected{Infeasible{
          {{"passes", static_cast<double>(design.profile_.passes), 1.0}},
          fmt::format("{} takes {} passes over the streamed elements: whole fibers of {} are live between them, so its "
                      "einsums cannot run tile by tile together",
                      design.profile_.name, design.profile_.passes, fmt::join(whole, ", "))}};
    }
    if (auto obstacle = design.bind()) {
      return Unexpected{*std::move(obstacle)};
    }
    if (auto obstacle = design.check_registers()) {
      return Unexpected{*std::move(obstacle)};
    }
  }
  design.set_cycles();
  design.set_words();
  design.set_energies();
  return design;
}

std::optional<Infeasible> Design::place_works() {
  for (const Work& work : profile_.works) {
    const bool whole_tiles = work.extent == Extent::tile || work.product;
    const bool wants_array =
        work.product || (choices_.softmax_on_array && work.extent == Extent::tile && choices_.fusion == Fusion::tiles);
    std::optional<UnitCounts> there = arch_.array.expand(work.operation);
    const bool array = whole_tiles && wants_array && there;
    if (!array) {
      there = arch_.lane.expand(work.operation);
    }
    if (!there) {
      return Infeasible{{},
                        fmt::format("einsum {}: neither {} nor {} has the unit that it needs", work.name,
                                    arch_.array.name, arch_.lane.name)};
    }
    on_array_.push_back(array);
    expanded_.push_back(*there);
    cycles_.push_back((array ? arch_.array : arch_.lane).cycles(*there));
  }
  return std::nullopt;
}

std::optional<Infeasible> Design::bind() {
  if (choices_.binding == "sequential") {
    binding_ = sequential_binding(profile_, on_array_);
    return std::nullopt;
  }
  Expected<Binding, std::string> binding = choices_.binding == "pipelined" ? pipelined_binding(profile_, on_array_)
                                           : choices_.binding == "interleaved"
                                               ? interleaved_binding(profile_, on_array_)
                                               : parse_binding(choices_.binding, profile_, on_array_);
  if (!binding) {
    return Infeasible{{}, binding.error()};
  }
  binding_ = *std::move(binding);
  return std::nullopt;
}

std::optional<Infeasible> Design::check_registers() const {
  constexpr std::int64_t kOperands = 3;  // of a product: two factors and the sum
  std::int64_t needed = kOperands;
  for (const TensorUse& tensor : profile_.tensors) {
    if (!is_streamed_tile(tensor) || tensor.producer < 0 || !on_array(tensor.producer)) {
      continue;
    }
    if (std::any_of(tensor.consumers.begin(), tensor.consumers.end(), [&](int work) { return on_array(work); })) {
      needed += tiles_in_flight(binding_, profile_, tensor.producer);
    }
  }
  if (needed <= arch_.array.registers) {
    return std::nullopt;
  }
  return Infeasible{{{"registers", static_cast<double>(needed), static_cast<double>(arch_.array.registers)}},
                    fmt::format("an element of the array needs {} words of registers for what stays there of the tiles "
                                "in flight, {} has {}",
                                needed, arch_.array.name, arch_.array.registers)};
}

double Design::array_cycles(const Work& work) const {
  std::vector<std::int64_t> extents = work.inner;
  if (work.extent == Extent::tile) {
    return static_cast<double>(work.inner_points());  // streamed elements down the rows, rows along the columns
  }
  if (work.extent == Extent::row || work.extent == Extent::step) {
    extents.push_back(arch_.columns);  // a tile of rows at a time
  } else if (work.extent == Extent::key) {
    extents.push_back(arch_.rows);
  }
  return best_spread(extents, arch_.rows, arch_.columns);
}

double Design::lane_cycles(const Work& work) const {
  const auto inner = static_cast<double>(work.inner_points());
  switch (work.extent) {
    case Extent::tile:
      return inner * ceil_div(arch_.rows * arch_.columns, arch_.lanes);
    case Extent::step:
    case Extent::row:
      return inner * ceil_div(arch_.columns, arch_.lanes);
    case Extent::key:
      return inner * ceil_div(arch_.rows, arch_.lanes);
    case Extent::key_step:
    case Extent::head:
      return ceil_div(work.inner_points(), arch_.lanes);
  }
  return inner;
}

void Design::set_cycles() {
  const double elements = static_cast<double>(arch_.rows) * static_cast<double>(arch_.columns);
  for (std::size_t i = 0; i < profile_.works.size(); ++i) {
    const Work& work = profile_.works[i];
    const auto inner = static_cast<double>(work.inner_points());
    if (on_array_[i]) {
      useful_[at(work.extent)] += inner * static_cast<double>(cycles_[i]) / elements;
    }
    macs_[at(work.extent)] += work.product ? inner : 0.0;
  }
  for (const Slot& slot : binding_.slots) {
    SlotCycles cycles;
    const auto add = [&](const std::vector<int>& works, PerExtent& to, bool array, double factor) {
      for (const int work : works) {
        const Work& each = profile_.works[static_cast<std::size_t>(work)];
        to[at(each.extent)] += factor * static_cast<double>(cycles_[static_cast<std::size_t>(work)]) *
                               (array ? array_cycles(each) : lane_cycles(each));
      }
    };
    add(slot.array, cycles.array, true, 1.0);
    add(slot.lanes, cycles.lanes, false, 1.0);
    add(slot.drains, cycles.drains, true, static_cast<double>(arch_.rows));
    slots_.push_back(cycles);
  }
}

double Design::reads_of_last_step(const TensorUse& tensor) const {
  return static_cast<double>(
      std::count_if(profile_.dependences.begin(), profile_.dependences.end(),
                    [&](const Dependence& edge) { return edge.before == tensor.producer && edge.distance > 0; }));
}

/// As the artifact's energies imply: single values that leave the array's columns wait for the lanes in the buffer,
/// rows of values flow into the lanes' registers.
bool Design::hands_scalar_to_lanes(const TensorUse& tensor) const {
  return tensor.inner_words == 1 && tensor.producer >= 0 && on_array(tensor.producer) &&
         std::any_of(tensor.consumers.begin(), tensor.consumers.end(), [&](int work) { return !on_array(work); });
}

void Design::set_words() {
  const auto rows = static_cast<double>(arch_.rows);
  const auto columns = static_cast<double>(arch_.columns);
  for (const TensorUse& tensor : profile_.tensors) {
    const auto inner = static_cast<double>(tensor.inner_words);
    const auto read_by = [&](auto condition) {
      return std::any_of(tensor.consumers.begin(), tensor.consumers.end(),
                         [&](int work) { return condition(profile_.works[static_cast<std::size_t>(work)].extent); });
    };
    const auto accumulates = [this](const TensorUse& use) {  // a sum over the steps: state from the first to the last
      return use.producer >= 0 && (profile_.works[static_cast<std::size_t>(use.producer)].extent == Extent::tile ||
                                   profile_.works[static_cast<std::size_t>(use.producer)].extent == Extent::step);
    };
    const bool every_step = read_by([](Extent extent) { return extent == Extent::tile || extent == Extent::step; });
    const bool once_a_row = read_by([](Extent extent) { return extent == Extent::row; });
    switch (tensor.extent) {
      case Extent::row:
        words_.dram_rows += tensor.input || tensor.output ? inner : 0.0;
        if (accumulates(tensor)) {
          words_.per_row += inner;
          words_.read_step += inner;
          words_.write_step += inner;
          words_.read_row += inner;
          break;
        }
        words_.fill_rows += tensor.input ? inner : 0.0;
        words_.per_row += tensor.input && every_step ? inner : 0.0;
        words_.fixed += tensor.output || (tensor.input && every_step) ? 0.0 : inner * columns;
        words_.read_step += tensor.input && every_step ? inner : 0.0;
        words_.read_row += tensor.input && !every_step ? inner : 0.0;
        break;
      case Extent::step:
        words_.per_row += tensor.carried ? inner : 0.0;
        words_.read_row += tensor.carried && once_a_row ? inner : 0.0;
        words_.write_step += tensor.carried ? inner : 0.0;
        words_.read_step += inner * reads_of_last_step(tensor);
        if (tensor.carried) {
          words_.step_outputs.push_back(inner);
        } else if (hands_scalar_to_lanes(tensor)) {
          words_.write_step += inner;
          words_.read_step += inner;
        }
        break;
      case Extent::tile: {
        if (tensor.input || tensor.output) {
          words_.dram_tiles += inner;
          words_.fixed += inner * rows * columns;
          break;
        }
        const bool from = on_array(tensor.producer);
        bool crosses = false;
        double reads = 0.0;
        for (const int consumer : tensor.consumers) {
          crosses = crosses || on_array(consumer) != from;
          reads += on_array(consumer) != from && (on_array(consumer) || choices_.complete_energy) ? inner : 0.0;
        }
        words_.tile_per_row += crosses ? inner * rows : 0.0;
        if (crosses && choices_.fusion == Fusion::tiles) {
          words_.tiles_in_flight =
              std::max<double>(words_.tiles_in_flight, tiles_in_flight(binding_, profile_, tensor.producer));
        }
        words_.write_tile += crosses ? inner : 0.0;
        if (crosses) {
          words_.tile_outputs.push_back(inner);
        }
        words_.read_tile += reads;
        break;
      }
      case Extent::key: {
        const bool with_rows = read_by([](Extent extent) { return extent == Extent::tile; });
        words_.fixed += inner * rows;
        words_.read_key_tile += tensor.input && with_rows ? inner : 0.0;
        (with_rows ? words_.dram_keys_chunk : words_.dram_keys) += tensor.input || tensor.output ? inner : 0.0;
        break;
      }
      case Extent::key_step:
      case Extent::head:
        words_.fixed += inner;
        break;
    }
  }
}

void Design::set_energies() {
  for (std::size_t i = 0; i < profile_.works.size(); ++i) {
    const Work& work = profile_.works[i];
    const auto inner = static_cast<double>(work.inner_points());
    // What an operation is, not how long its element takes: an exponential of multiply-accumulates costs these.
    for (std::size_t unit = 0; unit < kUnits; ++unit) {
      const double count = inner * static_cast<double>(expanded_[i].of[unit]);
      (on_array_[i] ? array_unit_pj_ : lane_unit_pj_)[at(work.extent)] += count * prices_.unit_pj[unit];
      (on_array_[i] ? array_operations_ : lane_operations_)[at(work.extent)] += count;
    }
  }
  std::int64_t tiles = 2;  // in flight: twice what hides the walk over the shortest inner rank (FuseMax artifact)
  for (const Work& work : profile_.works) {
    if (work.product && work.extent == Extent::tile) {
      tiles = std::max(tiles, 2 * arch_.columns / std::max<std::int64_t>(work.inner_points(), 1));
    }
  }
  const auto rows = static_cast<double>(arch_.rows);
  area_um2_ = rows * static_cast<double>(arch_.columns) * prices_.pe_um2(arch_.array, tiles) + rows * prices_.row_um2 +
              static_cast<double>(arch_.lanes) *
                  prices_.pe_um2(arch_.lane, static_cast<std::int64_t>(prices_.register_file_words)) +
              prices_.buffer.area_um2(arch_.priced());
}

}  // namespace cosearch::attention
