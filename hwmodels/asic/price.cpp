#include "hwmodels/asic/price.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/config_error.hpp"
#include "spaces/ir/text_words.hpp"

namespace cosearch::asic {
namespace {

constexpr double kUm2PerMm2 = 1e6;

LinearMemory read_linear(const JsonReader& reader) {
  return {reader.at("reference_bits").number(kPositive), reader.at("reference_kilobytes").number(kPositive),
          reader.at("reference_pj").number(kPositive), reader.at("pj_per_kilobyte").number(kNonNegative),
          reader.at("area_um2_per_bit").number(kPositive)};
}

UnitCost read_unit(const JsonReader& reader) {
  return {reader.at("energy_pj").number(kNonNegative), reader.at("area_um2").number(kPositive)};
}

NodeScale scale_of(const Arch& arch, const PriceTable& table) {
  if (arch.node_nm == table.node_nm) {
    return {};
  }
  const auto found = table.scaling.find(arch.node_nm);
  if (found == table.scaling.end()) {
    std::string nodes = fmt::format("{:g}", table.node_nm);
    for (const auto& [node, scale] : table.scaling) {
      nodes += fmt::format(", {:g}", node);
    }
    throw ConfigError("/node_scaling/nodes",
                      fmt::format("has no factors for the {:g} nm of {}; known: {}", arch.node_nm, arch.name, nodes),
                      table.file);
  }
  return found->second;
}

MemoryPrice dram_price(const MemoryLevel& level, const PriceTable& table) {
  if (level.dram.empty()) {
    throw ConfigError("", fmt::format("level {} is unbounded, but names no kind of dram", level.name));
  }
  auto found = table.dram_pj_per_bit.find(level.dram);
  if (found == table.dram_pj_per_bit.end()) {
    found = table.dram_pj_per_bit.find("any");
  }
  if (found == table.dram_pj_per_bit.end()) {
    std::vector<std::string> known;
    for (const auto& [kind, energy] : table.dram_pj_per_bit) {
      known.push_back(kind);
    }
    throw ConfigError("/dram/pj_per_bit", unknown_name(level.dram, known), table.file);
  }
  const double block_pj = found->second * static_cast<double>(level.word_bits * level.block_words);
  return {block_pj, block_pj, 0.0, 0.0};
}

MemoryPrice linear_price(const MemoryLevel& level, const LinearMemory& memory, double static_mw_per_mm2) {
  const double bits = static_cast<double>(*level.capacity_words) * static_cast<double>(level.word_bits);
  const double kilobytes = bits / 8.0 / 1024.0;
  const double width = static_cast<double>(level.word_bits * level.block_words) / memory.reference_bits;
  const double energy =
      (memory.reference_pj + memory.pj_per_kilobyte * (kilobytes - memory.reference_kilobytes)) * width;
  const double area = memory.area_um2_per_bit * bits;
  return {energy, energy, area, static_mw_per_mm2 * area / kUm2PerMm2};
}

MemoryPrice macro_price(const MemoryLevel& level, const PriceTable& table) {
  const EnergyTable& macros = table.macros;
  const double bits = static_cast<double>(*level.capacity_words) * static_cast<double>(level.word_bits);
  const auto block_bits = static_cast<double>(level.word_bits * level.block_words);
  const auto bytes = static_cast<std::int64_t>(std::ceil(bits / 8.0));
  if (bytes < macros.srams.front().bytes) {
    const double energy = macros.register_bit.energy_pj * block_bits;
    const double area = macros.register_bit.area_um2 * bits;
    return {energy, energy, area, table.static_mw_per_mm2 * area / kUm2PerMm2};
  }
  const std::int64_t banks = (bytes - 1) / macros.srams.back().bytes + 1;
  const SramCost bank = macros.sram((bytes - 1) / banks + 1);
  const auto count = static_cast<double>(banks);
  return {bank.read_pj_per_byte * block_bits / 8.0, bank.write_pj_per_byte * block_bits / 8.0, bank.area_um2 * count,
          bank.leakage_mw * count};
}

MemoryPrice price_of(const MemoryLevel& level, const PriceTable& table) {
  if (!level.capacity_words) {
    return dram_price(level, table);
  }
  if (*level.capacity_words == 0) {  // a place in the network, no memory
    return {};
  }
  return table.linear ? linear_price(level, *table.linear, table.static_mw_per_mm2) : macro_price(level, table);
}

}  // namespace

PriceTable load_price_table(const std::string& name, const std::string& data_directory) {
  const nlohmann::json data = load_data(name, data_directory);
  PriceTable table;
  table.file = data_file_name(name, data_directory);
  const JsonReader root(data, "", table.file);
  table.node_nm = root.at("node_nm").number(kPositive);
  for (const auto& [text, type] : ir::kElementTypes) {
    if (const auto reader = root.at("mac").find(std::string(text))) {
      table.mac[type] = read_unit(*reader);
    }
  }
  table.addition = read_unit(root.at("addition"));
  table.static_mw_per_mm2 = root.at("static").at("mw_per_mm2").number(kPositive);
  if (const auto linear = root.find("linear_memory")) {
    table.linear = read_linear(*linear);
  } else {
    table.macros = load_energy_table(name, data_directory);
  }
  for (const auto& [kind, reader] : root.at("dram").at("pj_per_bit").members()) {
    table.dram_pj_per_bit[kind] = reader.number(kPositive);
  }
  if (const auto scaling = root.find("node_scaling")) {
    for (const JsonReader& node : scaling->at("nodes").items()) {
      table.scaling[node.at("node_nm").number(kPositive)] = {node.at("energy").number(kPositive),
                                                             node.at("area").number(kPositive)};
    }
  }
  return table;
}

Pricing::Pricing(const Arch& arch, const PriceTable& table) : arch_(arch) {
  const auto mac = table.mac.find(arch.mac_type);
  if (mac == table.mac.end()) {
    throw ConfigError("/mac",
                      fmt::format("has no {} multiply-accumulate, which {} needs", type_name(arch.mac_type), arch.name),
                      table.file);
  }
  const NodeScale scale = scale_of(arch, table);
  mac_pj_ = mac->second.energy_pj * scale.energy;
  addition_pj_ = table.addition.energy_pj * scale.energy;
  const double logic_um2 = (mac->second.area_um2 + table.addition.area_um2) * static_cast<double>(arch.macs.size());
  area_um2_ = logic_um2;
  static_mw_ = logic_um2 / kUm2PerMm2 * table.static_mw_per_mm2;
  for (const MemoryLevel& level : arch.levels) {
    hops_ = hops_ || level.hop_pj > 0.0;
    MemoryPrice price = price_of(level, table);
    const auto instances = static_cast<double>(level.instances.size());
    area_um2_ += price.area_um2 * instances;
    static_mw_ += price.static_mw * instances;
    if (level.capacity_words) {  // DRAM has a process of its own
      price.read_pj *= scale.energy;
      price.write_pj *= scale.energy;
      price.area_um2 *= scale.area;
      price.static_mw *= scale.area;
    }
    memories_.push_back(price);
  }
  area_um2_ *= scale.area;
  static_mw_ *= scale.area;
}

double Pricing::static_pj(double cycles) const noexcept {
  // 1 mW over 1 s is 1e9 pJ.
  return static_mw_ * 1e9 * cycles / arch_.frequency_hz;
}

double Pricing::network_pj(const Counts& counts) const {
  double picojoules = 0.0;
  for (std::size_t tensor = 0; tensor < static_cast<std::size_t>(counts.tensor_count); ++tensor) {
    const TensorTraffic* inside = nullptr;  // the next inner level that keeps the tensor
    double hop_pj = 0.0;
    for (std::size_t level = 0; level < memories_.size(); ++level) {
      const TensorTraffic& here = counts.levels[level].tensors[tensor];
      if (here.tile == 0) {
        continue;
      }
      if (inside != nullptr) {
        // Operands arrive; sums leave as updates, and those that come back arrive.
        const std::int64_t leaving = here.updates > 0 ? here.delivered : 0;
        picojoules += hop_pj * (static_cast<double>(inside->fills) + static_cast<double>(leaving));
      }
      inside = &here;
      hop_pj = arch_.levels[level].hop_pj;
    }
  }
  return picojoules;
}

Price Pricing::price(const Counts& counts) const {
  Price price;
  double additions = 0.0;
  for (std::size_t level = 0; level < memories_.size(); ++level) {
    const MemoryPrice& memory = memories_[level];
    const LevelCounts& here = counts.levels[level];
    const auto instances = static_cast<double>(here.instances);
    const auto block = static_cast<double>(arch_.levels[level].block_words);
    for (std::size_t tensor = 0; tensor < static_cast<std::size_t>(counts.tensor_count); ++tensor) {
      const TensorTraffic& traffic = here.tensors[tensor];
      const auto reads = static_cast<double>(traffic.reads);
      const double writes = static_cast<double>(traffic.fills) + static_cast<double>(traffic.updates);
      additions += static_cast<double>(traffic.temporal_reductions) + static_cast<double>(traffic.spatial_reductions);
      if (reads + writes == 0.0) {
        continue;
      }
      const double blocks = std::ceil((reads + writes) / instances / block) * instances;
      const double mean_pj = (reads * memory.read_pj + writes * memory.write_pj) / (reads + writes);
      price.access_pj[level][tensor] = blocks * mean_pj;
      price.total_pj += blocks * mean_pj;
    }
  }
  price.mac_pj = static_cast<double>(counts.macs) * mac_pj_;
  price.reduction_pj = additions * addition_pj_;
  price.network_pj = hops_ ? network_pj(counts) : 0.0;
  price.static_pj = static_pj(static_cast<double>(counts.cycles));
  price.total_pj += price.mac_pj + price.reduction_pj + price.network_pj + price.static_pj;
  return price;
}

}  // namespace cosearch::asic
