#include "hwmodels/asic/maestro/analysis.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/asic/maestro/nest.hpp"

namespace cosearch::maestro {
namespace {

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

struct LevelCost {
  std::int64_t cycles = 0;
  std::int64_t macs = 0;
  std::int64_t input_ingress = 0;
  std::int64_t weight_ingress = 0;
  std::int64_t output_egress = 0;
  double utilized_pes = 0.0;
  double peak_bandwidth = 0.0;
  double average_bandwidth = 0.0;
  std::int64_t noc_bound_cycles = 0;
  std::int64_t offchip_bound_cycles = 0;
};

struct Buffers {
  std::int64_t inputs = 0;  ///< elements of double-buffered input and weight tiles
  std::int64_t outputs = 0;
};

[[nodiscard]] constexpr std::int64_t ceil_divide(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

States states_of(const NestLevel& level, const NestDirective& directive, std::int64_t extent) {
  const Tile& tile = level.tiles[directive.dimension];
  States states;
  if (!tile.spatial) {
    if (extent <= tile.size) {
      states.add({1, true, true, extent < tile.size, false});
      return states;
    }
    states.add({1, true, false, false, false});
    const std::int64_t steps = (extent - tile.size) / tile.offset;
    if (steps > 0) {
      states.add({steps, false, false, false, false});
    }
    if (steps * tile.offset + tile.size < extent) {
      states.add({1, false, false, true, false});
    }
    return states;
  }
  const std::int64_t units = level.units;
  const std::int64_t covered = tile.size + tile.offset * (units - 1);
  if (extent <= covered) {
    states.add({1, true, true, extent < covered, extent < covered});
    return states;
  }
  states.add({1, true, false, false, false});
  const std::int64_t steps = ((extent - tile.size) / tile.offset + 1) / units - 1;
  if (steps > 0) {
    states.add({steps, false, false, false, false});
  }
  const std::int64_t advance = tile.offset * units;
  if ((steps + 1) * advance + covered > extent && steps * advance + covered != extent) {
    const std::int64_t rest = extent - (steps + 1) * advance;
    const std::int64_t busy = rest < tile.size ? 1 : (rest - tile.size) / tile.offset + 1;
    states.add({1, false, false, true, (busy - 1) * tile.offset + tile.size < rest});
  }
  return states;
}

/// Units that work at the edge of a spatial directive.
std::int64_t busy_at_edge(const NestLevel& level, const Tile& tile) {
  const std::int64_t advance = tile.offset * level.units;
  if (tile.extent > tile.size + tile.offset * (level.units - 1)) {
    const std::int64_t steps = ((tile.extent - tile.size) / tile.offset + 1) / level.units - 1;
    const std::int64_t rest = tile.extent - (steps + 1) * advance;
    return rest < tile.size ? 1 : (rest - tile.size) / tile.offset + 1;
  }
  if (tile.extent > tile.size) {
    const std::int64_t busy = (tile.extent - tile.size) / tile.offset + 1;
    return busy + (tile.offset * (busy - 1) + tile.size < tile.extent ? 1 : 0);
  }
  return 1;
}

/// One combination of states of a level's directives.
class Case {
 public:
  Case(const NestLevel& level, const Couplings& couplings) : level_(level), couplings_(couplings) {
    for (std::size_t i = 0; i < level.count; ++i) {
      if (level.directives[i].spatial) {
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
      busy_of_[i] = states_[i].edge && tile(i).spatial ? busy_at_edge(level_, tile(i)) : level_.units;
    }
    all_ = units_for(kEverything);
  }

  [[nodiscard]] bool all_first() const noexcept { return innermost_ < 0; }
  [[nodiscard]] std::int64_t busy() const noexcept { return spatial_ == 0 ? 1 : all_.busy; }
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
      product *= held(i, unit, contains(couplings_.output, dimension(i)) ? tile(i).produced : tile(i).held);
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
        product *= fresh ? (at_edge(i, unit) ? part.edge_fresh : part.fresh) : held(i, unit, part);
      }
    }
    return product;
  }

  const NestLevel& level_;
  const Couplings& couplings_;
  DimensionSet spatial_ = 0;
  std::array<State, kMaxDirectives> states_;
  int innermost_ = -1;  ///< innermost directive that is not at its first step
  std::uint32_t edges_ = 0;
  std::array<std::int64_t, kMaxDirectives> busy_of_;
  Busy all_;
};

class Analyser {
 public:
  Analyser(const Layer& layer, const Nest& nest, const Hardware& hardware)
      : nest_(nest), hardware_(hardware), couplings_(couplings_of(layer.kind)) {}

  /// False (see `refusal`) when a count overflows.
  bool run(std::size_t depth, const Given& extents, LevelCost& cost);

  [[nodiscard]] const Couplings& couplings() const noexcept { return couplings_; }
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
  [[nodiscard]] const std::array<std::int64_t, 3>& first_tiles() const noexcept { return first_tiles_; }

 private:
  /// What depends on the edges of a case only.
  struct Work {
    std::uint32_t edges = 0;
    std::int64_t cycles = 0;
    std::int64_t macs = 0;
    std::int64_t egress = 0;
    double utilized_pes = 0.0;
  };

  bool compute(const Case& at, std::size_t depth, Work& work);
  bool account(const Case& at, std::int64_t occurrences, std::size_t depth, const Work& work, LevelCost& cost);

  [[nodiscard]] std::int64_t transfer_cycles(std::int64_t elements) const noexcept {
    return hardware_.hop_latency - 1 + ceil_divide(elements, hardware_.noc_bandwidth);
  }
  [[nodiscard]] std::int64_t offchip_cycles() const noexcept {
    const std::int64_t in = 2 * (first_tiles_[0] + first_tiles_[1]) / hardware_.offchip_bandwidth / 2;
    const std::int64_t out = 2 * first_tiles_[2] / hardware_.offchip_bandwidth / 2;
    return std::max(in, out);
  }
  bool refuse(std::string reason) {
    refusal_ = std::move(reason);
    return false;
  }

  const Nest& nest_;
  const Hardware& hardware_;
  Couplings couplings_;
  std::array<std::int64_t, 3> first_tiles_ = {};  ///< of the outermost level: input, weight, output
  std::string refusal_;
};

bool Analyser::compute(const Case& at, std::size_t depth, Work& work) {
  const std::int64_t critical = at.macs_of(Unit::first);
  work.macs = at.macs();
  work.egress = at.egress();
  work.utilized_pes = static_cast<double>(at.busy());
  if (depth + 1 == nest_.count) {
    work.cycles = ceil_divide(critical, hardware_.simd_lanes);
    return true;
  }
  LevelCost below;
  if (!run(depth + 1, at.given(Unit::first), below)) {
    return false;
  }
  work.cycles = below.cycles;
  work.utilized_pes *= below.utilized_pes;
  if (at.partial()) {
    if (!run(depth + 1, at.given(Unit::last), below)) {
      return false;
    }
    work.cycles = std::max(work.cycles, below.cycles);
  }
  return true;
}

bool Analyser::account(const Case& at, std::int64_t occurrences, std::size_t depth, const Work& work, LevelCost& cost) {
  const std::int64_t input = at.ingress(couplings_.input);
  const std::int64_t weight = at.ingress(couplings_.weight);
  const std::int64_t arriving = transfer_cycles(input + weight);
  const std::int64_t leaving = transfer_cycles(work.egress);
  if (depth == 0 && at.all_first()) {
    first_tiles_ = {input, weight, work.egress};
  }
  std::int64_t cycles = at.all_first() ? work.cycles + arriving : std::max({leaving, work.cycles, arriving});
  bool offchip_bound = false;
  if (depth == 0 && offchip_cycles() > cycles) {
    cycles = offchip_cycles();
    offchip_bound = true;
  }
  const double bandwidth = static_cast<double>(std::max(input + weight, work.egress)) /
                           static_cast<double>(std::max(work.cycles, std::int64_t{1}));
  cost.peak_bandwidth = std::max(cost.peak_bandwidth, bandwidth);
  cost.average_bandwidth += static_cast<double>(occurrences) * bandwidth;
  cost.utilized_pes += static_cast<double>(occurrences) * work.utilized_pes;
  std::int64_t all_cycles = 0;
  std::int64_t transferred = 0;
  bool overflow = __builtin_mul_overflow(cycles, occurrences, &all_cycles);
  overflow |= __builtin_add_overflow(cost.cycles, all_cycles, &cost.cycles);
  for (const auto& [elements, sum] : {std::pair{input, &cost.input_ingress}, std::pair{weight, &cost.weight_ingress},
                                      std::pair{work.egress, &cost.output_egress}, std::pair{work.macs, &cost.macs}}) {
    overflow |= __builtin_mul_overflow(elements, occurrences, &transferred);
    overflow |= __builtin_add_overflow(*sum, transferred, sum);
  }
  if (overflow) {
    return refuse("the counts exceed 63 bits");
  }
  if (offchip_bound) {
    cost.offchip_bound_cycles += all_cycles;
  } else if (cycles > work.cycles) {
    cost.noc_bound_cycles += all_cycles;
  }
  return true;
}

bool Analyser::run(std::size_t depth, const Given& extents, LevelCost& cost) {
  const NestLevel& level = nest_.levels[depth];
  std::array<States, kMaxDirectives> states;
  std::array<std::size_t, kMaxDirectives> position = {};
  Case at(level, couplings_);
  for (std::size_t i = 0; i < level.count; ++i) {
    states[i] = states_of(level, level.directives[i], extents[level.directives[i].dimension]);
    at.set(i, states[i].list[0]);
  }
  constexpr std::size_t kRemembered = 32;
  std::array<Work, kRemembered> remembered;
  std::size_t known = 0;
  cost = LevelCost{};
  std::int64_t iterations = 0;
  for (bool more = true; more;) {
    at.finish();
    std::int64_t occurrences = 1;
    for (std::size_t i = 0; i < level.count; ++i) {
      occurrences *= states[i].list[position[i]].count;
    }
    std::size_t slot = 0;
    while (slot < known && remembered[slot].edges != at.edges()) {
      ++slot;
    }
    if (slot == known) {
      slot = std::min(known, kRemembered - 1);
      remembered[slot].edges = at.edges();
      if (!compute(at, depth, remembered[slot])) {
        return false;
      }
      known = slot + 1;
    }
    // Past the last output of a strided layer: MAESTRO has no such iteration.
    if (remembered[slot].macs > 0) {
      iterations += occurrences;
      if (!account(at, occurrences, depth, remembered[slot], cost)) {
        return false;
      }
    }
    more = false;
    for (std::size_t i = level.count; i-- > 0 && !more;) {
      position[i] = position[i] + 1 < states[i].count ? position[i] + 1 : 0;
      at.set(i, states[i].list[position[i]]);
      more = position[i] != 0;
    }
  }
  cost.utilized_pes /= static_cast<double>(iterations);
  cost.average_bandwidth /= static_cast<double>(iterations);
  return true;
}

std::int64_t elements(const Layer& layer, DimensionSet tensor) {
  std::int64_t product = 1;
  for (std::size_t i = 0; i < kDimensions; ++i) {
    product *= contains(tensor, static_cast<Dimension>(i)) ? layer.extents[i] : 1;
  }
  return product;
}

/// MAESTRO ignores the stride here.
std::int64_t output_elements(const Layer& layer) {
  Layer output = layer;
  if (layer.kind != LayerKind::gemm) {
    output.extents[index_of(Dimension::y)] -= layer[Dimension::r] - 1;
    output.extents[index_of(Dimension::x)] -= layer[Dimension::s] - 1;
  }
  return elements(output, couplings_of(layer.kind).output);
}

std::int64_t l1_elements(const NestLevel& level, const Couplings& couplings) {
  std::int64_t sum = 0;
  for (const DimensionSet tensor : {couplings.input, couplings.weight, couplings.output}) {
    std::int64_t product = 1;
    for (std::size_t i = 0; i < kDimensions; ++i) {
      product *= contains(tensor, static_cast<Dimension>(i)) ? level.tiles[i].size : 1;
    }
    sum += product;
  }
  return 2 * sum;
}

std::optional<std::string> check(const Hardware& hardware) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 40;
  const std::pair<const char*, std::int64_t> figures[] = {{"processing elements", hardware.pes},
                                                          {"elements per cycle on the NoC", hardware.noc_bandwidth},
                                                          {"elements per cycle off chip", hardware.offchip_bandwidth},
                                                          {"cycles per hop", hardware.hop_latency},
                                                          {"lanes", hardware.simd_lanes}};
  for (const auto& [name, value] : figures) {
    if (value < 1 || value > kLargest) {
      return fmt::format("the hardware has {} {}; expected 1 to {}", value, name, kLargest);
    }
  }
  return std::nullopt;
}

}  // namespace

Expected<Analysis, Infeasible> analyse(const Layer& layer, const Mapping& mapping, const Hardware& hardware) {
  if (std::optional<std::string> refusal = check(hardware)) {
    return Unexpected{Infeasible{{}, *std::move(refusal)}};
  }
  Nest nest;
  if (std::optional<std::string> refusal = resolve(layer, mapping, hardware.pes, nest)) {
    return Unexpected{Infeasible{{}, *std::move(refusal)}};
  }
  Analyser analyser(layer, nest, hardware);
  LevelCost cost;
  if (!analyser.run(0, layer.extents, cost)) {
    return Unexpected{Infeasible{{}, analyser.refusal()}};
  }
  const Couplings& couplings = analyser.couplings();
  Analysis analysis;
  analysis.runtime_cycles = cost.cycles;
  analysis.macs = cost.macs;
  analysis.input = {cost.macs, cost.input_ingress, cost.input_ingress, elements(layer, couplings.input)};
  analysis.weight = {cost.macs, cost.weight_ingress, cost.weight_ingress, elements(layer, couplings.weight)};
  analysis.output = {cost.macs, cost.macs, output_elements(layer), cost.output_egress};
  analysis.l1_elements = l1_elements(nest.levels[nest.count - 1], couplings);
  analysis.l2_elements = 2 * (analyser.first_tiles()[0] + analyser.first_tiles()[1] + analyser.first_tiles()[2]);
  analysis.utilized_pes = cost.utilized_pes;
  analysis.peak_bandwidth = cost.peak_bandwidth;
  analysis.average_bandwidth = cost.average_bandwidth;
  analysis.noc_bound_cycles = cost.noc_bound_cycles;
  analysis.offchip_bound_cycles = cost.offchip_bound_cycles;
  return analysis;
}

}  // namespace cosearch::maestro
