#include "hwmodels/asic/accelerator.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/asic/einsum_steps.hpp"
#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/base/hash.hpp"

namespace cosearch::asic {
namespace {

void add(Hasher& hasher, const Grid& grid) { hasher.add(grid.x).add(grid.y); }

void add(Hasher& hasher, const std::optional<std::string>& text) {
  hasher.add(text.has_value()).add(text.value_or(""));
}

/// Everything about an einsum that a mapping depends on; names do not count.
void add(Hasher& hasher, const ir::Einsum& einsum, std::span<const EinsumTensor> tensors) {
  hasher.add(static_cast<std::uint64_t>(einsum.loops.size()));
  for (const ir::Loop& loop : einsum.loops) {
    hasher.add(loop.extent);
  }
  for (const EinsumTensor& tensor : tensors) {
    hasher.add(static_cast<int>(tensor.role)).add(static_cast<std::uint64_t>(tensor.access->axes.size()));
    for (const ir::AxisIndex& axis : tensor.access->axes) {
      hasher.add(static_cast<std::uint64_t>(axis.terms.size()));
      for (const ir::Term& term : axis.terms) {
        hasher.add(term.loop).add(term.coefficient);
      }
    }
  }
}

Arch with_half_of(Arch arch, int level) {
  if (level >= 0) {
    auto& capacity = arch.levels[static_cast<std::size_t>(level)].capacity_words;
    capacity = *capacity / 2;
  }
  return arch;
}

ProductCost summarise(const MappedEinsum& mapped, const Arch& arch, int resident_level) {
  ProductCost cost;
  cost.cycles = static_cast<double>(mapped.counts.cycles);
  cost.compute_cycles = static_cast<double>(mapped.counts.compute_cycles);
  cost.mac_pj = mapped.price.mac_pj;
  cost.reduction_pj = mapped.price.reduction_pj;
  cost.network_pj = mapped.price.network_pj;
  const std::size_t outermost = arch.levels.size() - 1;
  for (std::size_t level = 0; level <= outermost; ++level) {
    const LevelCounts& counts = mapped.counts.levels[level];
    cost.level_cycles[level] = static_cast<double>(counts.cycles);
    for (const double energy : mapped.price.access_pj[level]) {
      cost.level_pj[level] += energy;
    }
    if (counts.cycles == mapped.counts.cycles && counts.cycles > mapped.counts.compute_cycles) {
      cost.bound_level = static_cast<int>(level);
    }
  }
  for (const TensorTraffic& traffic : mapped.counts.levels[outermost].tensors) {
    cost.outer_reads += static_cast<double>(traffic.reads);
    cost.outer_writes += static_cast<double>(traffic.updates);
  }
  if (resident_level >= 0) {
    cost.resident_words = static_cast<double>(mapped.counts.levels[static_cast<std::size_t>(resident_level)].words);
  }
  return cost;
}

/// Sums and names; whether the layer mostly waits for a memory.
bool finish(LayerCost& layer, const Arch& arch) {
  const std::string suffix = "_bound_cycles";
  double picojoules = 0.0;
  double longest = layer.cycles / 2.0;
  layer.bound = layer.cycles > 0.0 ? "compute" : "fused";
  for (const auto& [name, value] : layer.parts) {
    picojoules += name.ends_with("_pj") ? value : 0.0;
    if (name.ends_with(suffix) && value > longest) {
      longest = value;
      layer.bound = name.substr(0, name.size() - suffix.size()) + "_bandwidth";
    }
  }
  const auto lacking = layer.parts.find("prefetch_lacking_bytes");
  if (layer.bound == arch.levels.back().name + "_bandwidth" && lacking != layer.parts.end() &&
      lacking->second > layer.parts.at("prefetched_bytes")) {
    // Most of what could have come ahead had no room.
    layer.bound = arch.levels[static_cast<std::size_t>(arch.resident_level())].name + "_capacity";
  }
  const bool waits = layer.bound.ends_with("_bandwidth") || layer.bound.ends_with("_capacity");
  std::transform(layer.bound.begin(), layer.bound.end(), layer.bound.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  layer.energy_uj = picojoules * 1e-6;
  layer.latency_ms = layer.cycles / arch.frequency_hz * 1e3;
  layer.utilization = layer.cycles > 0.0
                          ? static_cast<double>(layer.macs) / (static_cast<double>(arch.macs.size()) * layer.cycles)
                          : 0.0;
  return waits;
}

}  // namespace

std::uint64_t hash(const Arch& arch) {
  Hasher hasher;
  hasher.add(arch.node_nm).add(arch.frequency_hz).add(static_cast<int>(arch.mac_type)).add(arch.vector_lanes);
  hasher.add(arch.fill_cycles);
  add(hasher, arch.macs);
  for (const MemoryLevel& level : arch.levels) {
    hasher.add(level.capacity_words.value_or(-1)).add(level.word_bits).add(level.block_words);
    hasher.add(level.read_bandwidth.value_or(0.0)).add(level.write_bandwidth.value_or(0.0)).add(level.ports);
    add(hasher, level.instances);
    for (const bool keeps : level.keeps) {
      hasher.add(keeps);
    }
    hasher.add(level.double_buffered)
        .add(level.multicast)
        .add(level.spatial_reduction)
        .add(level.hop_pj)
        .add(level.dram);
    add(hasher, level.loops.temporal);
    add(hasher, level.loops.spatial_x);
    add(hasher, level.loops.spatial_y);
    hasher.add(level.loops.ordered);
  }
  return hasher.value();
}

Accelerator::Accelerator(const Arch& arch, const PriceTable& table, std::optional<Dataflow> dataflow,
                         const RunOptions& options, std::shared_ptr<MapMemo> memo)
    : chip_{arch,
            with_half_of(arch, arch.resident_level()),
            Pricing(arch, table),
            table.macros,
            arch.resident_level(),
            options},
      dataflow_(std::move(dataflow)),
      memo_(std::move(memo)),
      table_file_(table.file) {
  area_um2_ = chip_.pricing.area_um2() + static_cast<double>(arch.vector_lanes) * chip_.vector.vector_lane.area_um2;
  Hasher hasher;
  hasher.add(hash(arch)).add(table.file).add(dataflow_ ? dataflow_->name : "");
  hasher.add(static_cast<int>(options.mapper.objective)).add(options.mapper.evaluations).add(options.mapper.seed);
  hasher.add(static_cast<int>(options.mapper.footprint));
  identity_ = hasher.value();
}

double Accelerator::area_mm2() const noexcept { return area_um2_ * 1e-6; }

Expected<MappedEinsum, Infeasible> Accelerator::map(const ir::Workload& workload, const ir::Einsum& einsum,
                                                    const Residents& residents) const {
  const Mapper mapper(workload, einsum, arch_for(residents), chip_.pricing, dataflow_ ? &*dataflow_ : nullptr,
                      residents.tensors);
  return mapper.best(chip_.options.mapper);
}

SharedProductCost Accelerator::product(const ir::Workload& workload, const ir::Einsum& einsum,
                                       std::span<const EinsumTensor> tensors, const Residents& residents) const {
  Hasher hasher;
  hasher.add(identity_).add(static_cast<std::uint64_t>(residents.tensors)).add(residents.halved);
  add(hasher, einsum, tensors);
  const std::uint64_t key = hasher.value();
  if (auto known = memo_->find(key)) {
    return known;
  }
  const Expected<MappedEinsum, Infeasible> mapped = map(workload, einsum, residents);
  Expected<ProductCost, Infeasible> cost = Unexpected{Infeasible{}};
  if (mapped) {
    cost = summarise(*mapped, chip_.arch, chip_.resident_level);
  } else {
    cost = Unexpected{mapped.error()};
  }
  auto shared = std::make_shared<const Expected<ProductCost, Infeasible>>(std::move(cost));
  memo_->insert(key, shared);
  return shared;
}

Expected<LayerCost, Infeasible> Accelerator::run_layer(const JobWorkload& job, const EinsumRun& run, Walk& walk,
                                                       MemoryStep& memory) const {
  LayerCost layer;
  layer.name = run.name;
  layer.kind = run.kind;
  std::optional<Infeasible> obstacle;
  for (std::size_t i = run.first; i < run.end; ++i) {
    const ir::Einsum& einsum = walk.einsum(i);
    walk.enter(i);
    if (obstacle) {
      walk.skip(i);
    } else if (const auto tensors = find_einsum_tensors(job.workload, einsum)) {
      const SharedProductCost cost = product(job.workload, einsum, *tensors, walk.residents(i, *tensors));
      if (*cost) {
        walk.add_product(i, **cost, layer, memory);
      } else {
        obstacle = Infeasible{cost->error().violations, einsum.name + ": " + cost->error().reason};
        walk.skip(i);
      }
    } else {
      walk.add_operation(i, layer, memory);
    }
    walk.leave(i);
    if (!obstacle) {
      static_cast<void>(walk.finish_queue(
          i, [&](std::size_t) -> LayerCost& { return layer; }, memory));
    }
  }
  if (obstacle) {
    return Unexpected{*std::move(obstacle)};
  }
  return layer;
}

void Accelerator::require_operation(const ir::Einsum& einsum, const std::string& why) const {
  if (chip_.vector.vector_operations.find(einsum.combine) == chip_.vector.vector_operations.end()) {
    throw ConfigError("/vector_operations",
                      fmt::format("lacks what einsum {} needs on the vector lanes ({})", einsum.name, why),
                      table_file_);
  }
}

Expected<MappedEinsum, Infeasible> Accelerator::by_nest(const ir::Workload& workload, const ir::Einsum& einsum,
                                                        const LoopNest& nest) const {
  COSEARCH_CHECK(!chip_.options.residency, "nests by hand say all about where tensors lie");
  Expected<Counts, Infeasible> counts = count(workload, einsum, chip_.arch, nest, chip_.options.mapper.footprint);
  if (!counts) {
    return Unexpected{std::move(counts).error()};
  }
  MappedEinsum mapped;
  mapped.nest = nest;
  mapped.counts = *counts;
  mapped.price = chip_.pricing.price(*counts);
  return mapped;
}

Expected<std::vector<EinsumCost>, Infeasible> Accelerator::run_einsums(
    const ir::Workload& workload, const std::map<std::string, LoopNest>& nests,
    std::span<const graph::QueuedEinsums> queues) const {
  Walk walk(chip_, workload, queues);
  std::vector<EinsumCost> costs;
  for (std::size_t i = 0; i < workload.einsums.size(); ++i) {
    const ir::Einsum& einsum = walk.einsum(i);
    EinsumCost cost;
    MemoryStep memory;
    walk.enter(i);
    if (const auto tensors = find_einsum_tensors(workload, einsum)) {
      cost.residents = walk.residents(i, *tensors);
      const auto nest = nests.find(einsum.name);
      Expected<MappedEinsum, Infeasible> mapped =
          nest == nests.end() ? map(workload, einsum, cost.residents) : by_nest(workload, einsum, nest->second);
      if (!mapped) {
        return Unexpected{Infeasible{mapped.error().violations, einsum.name + ": " + mapped.error().reason}};
      }
      cost.mapped = *std::move(mapped);
      walk.add_product(i, summarise(*cost.mapped, chip_.arch, chip_.resident_level), cost.layer, memory);
    } else {
      require_operation(einsum, tensors.error());
      cost.takes_over = walk.takes_over(i);
      walk.add_operation(i, cost.layer, memory);
    }
    walk.leave(i);
    cost.layer.name = einsum.name;
    cost.layer.kind = cost.mapped ? "product" : "vector";
    cost.steps = steps_of(workload, workload.einsums[i]);
    costs.push_back(std::move(cost));
    costs.back().queue = walk.finish_queue(
        i, [&](std::size_t index) -> LayerCost& { return costs[index].layer; }, memory);
  }
  for (EinsumCost& cost : costs) {
    static_cast<void>(finish(cost.layer, chip_.arch));
  }
  return costs;
}

Accelerator::Run Accelerator::run(const JobWorkload& job) const {
  Walk walk(chip_, job.workload, job.queues);
  Run result;
  for (const EinsumRun& run : einsum_runs(job)) {
    MemoryStep memory{run.name, 0, {}};
    Expected<LayerCost, Infeasible> layer = run_layer(job, run, walk, memory);
    const double rate = walk.take_outer_rate();
    if (layer) {
      layer->parts["dram_gbps"] = rate;
      result.bandwidth_bound_cycles += finish(*layer, chip_.arch) ? layer->cycles : 0.0;
    } else {
      memory = {run.name, 0, {}};
    }
    result.layers.push_back(std::move(layer));
    result.memory.push_back(std::move(memory));
  }
  return result;
}

}  // namespace cosearch::asic
