#include "hwmodels/asic/maestro/analysis.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/asic/maestro/iteration_case.hpp"
#include "hwmodels/asic/maestro/nest.hpp"

namespace cosearch::maestro {
namespace {

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

[[nodiscard]] constexpr std::int64_t ceil_divide(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

class Analyser {
 public:
  Analyser(const Layer& layer, const Nest& nest, const Hardware& hardware)
      : nest_(nest), hardware_(hardware), couplings_(couplings_of(layer.kind)) {}

  /// False (see `refusal`) when a count overflows.
  bool run(std::size_t depth, const Given& extents, LevelCost& cost);

  [[nodiscard]] const Couplings& couplings() const noexcept { return couplings_; }
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
  [[nodiscard]] const std::array<std::int64_t, 3>& first_tiles() const noexcept { return first_tiles_; }
  /// Times that a PE's buffer of inputs and weights is counted.
  [[nodiscard]] std::int64_t l1_requests() const noexcept { return l1_requests_; }

 private:
  /// What depends on the edges of a case only.
  struct Work {
    std::uint32_t edges = 0;
    std::int64_t cycles = 0;
    std::int64_t macs = 0;  ///< 0: the case does not exist
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
  std::int64_t l1_requests_ = 0;
  std::string refusal_;
};

bool Analyser::compute(const Case& at, std::size_t depth, Work& work) {
  const std::int64_t critical = at.macs_of(Unit::first);
  // Past the last output of a strided layer, or a tile smaller than the kernel: MAESTRO has no such iteration.
  work.macs = critical > 0 ? at.macs() : 0;
  if (work.macs <= 0) {
    return true;
  }
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

/// The combinations of states of a level's directives in MAESTRO's order, which decides what comes before the first
/// case with an output: an odometer that begins at its last reading and of which each wheel stands for the state after
/// its own.
class CaseOrder {
 public:
  CaseOrder(const NestLevel& level, const Given& extents) : level_(level) {
    for (std::size_t i = 0; i < level.count; ++i) {
      states_[i] = states_of(level, level.directives[i], extents[level.directives[i].dimension]);
      wheel_[i] = states_[i].count - 1;
      cases_ *= static_cast<std::int64_t>(states_[i].count);
    }
  }

  [[nodiscard]] std::int64_t cases() const noexcept { return cases_; }

  /// Sets the states of the case and gives the number of iterations
  /// that it stands for.
  std::int64_t apply(Case& at) const {
    std::int64_t occurrences = 1;
    for (std::size_t i = 0; i < level_.count; ++i) {
      at.set(i, state(level_.directives[i].last));
      occurrences *= state(i).count;
    }
    at.finish();
    return occurrences;
  }

  void advance() {
    for (std::size_t i = level_.count; i-- > 0;) {
      wheel_[i] = next(i);
      if (wheel_[i] != 0) {
        return;
      }
    }
  }

 private:
  [[nodiscard]] std::size_t next(std::size_t i) const { return wheel_[i] + 1 < states_[i].count ? wheel_[i] + 1 : 0; }
  [[nodiscard]] const State& state(std::size_t i) const { return states_[i].list[next(i)]; }

  const NestLevel& level_;
  std::array<States, kMaxDirectives> states_;
  std::array<std::size_t, kMaxDirectives> wheel_ = {};
  std::int64_t cases_ = 1;
};

bool Analyser::run(std::size_t depth, const Given& extents, LevelCost& cost) {
  const NestLevel& level = nest_.levels[depth];
  CaseOrder order(level, extents);
  Case at(level, couplings_);
  constexpr std::size_t kRemembered = 32;
  std::array<Work, kRemembered> remembered;
  std::size_t known = 0;
  cost = LevelCost{};
  std::int64_t iterations = 0;
  std::int64_t without_output = 0;  // cases before the first one that has an output
  for (std::int64_t number = 0; number < order.cases(); ++number, order.advance()) {
    const std::int64_t occurrences = order.apply(at);
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
    if (remembered[slot].macs > 0) {
      iterations += occurrences;
      if (!account(at, occurrences, depth, remembered[slot], cost)) {
        return false;
      }
    }
    without_output += iterations == 0 ? 1 : 0;
  }
  if (iterations == 0) {
    return refuse(fmt::format("no iteration of level {} has an output: a tile is smaller than the kernel's", depth));
  }
  if (depth + 1 == nest_.count && l1_requests_ == 0) {
    l1_requests_ = 1 + without_output;
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

std::int64_t l1_elements(const NestLevel& level, const Couplings& couplings, std::int64_t requests) {
  const auto tile_of = [&](DimensionSet tensor) {
    std::int64_t product = 1;
    for (std::size_t i = 0; i < kDimensions; ++i) {
      product *= contains(tensor, static_cast<Dimension>(i)) ? level.tiles[i].size : 1;
    }
    return product;
  };
  return 2 * (requests * (tile_of(couplings.input) + tile_of(couplings.weight)) + tile_of(couplings.output));
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
  analysis.l1_elements = l1_elements(nest.levels[nest.count - 1], couplings, analyser.l1_requests());
  analysis.l2_elements = 2 * (analyser.first_tiles()[0] + analyser.first_tiles()[1] + analyser.first_tiles()[2]);
  analysis.utilized_pes = cost.utilized_pes;
  analysis.peak_bandwidth = cost.peak_bandwidth;
  analysis.average_bandwidth = cost.average_bandwidth;
  analysis.noc_bound_cycles = cost.noc_bound_cycles;
  analysis.offchip_bound_cycles = cost.offchip_bound_cycles;
  return analysis;
}

}  // namespace cosearch::maestro
