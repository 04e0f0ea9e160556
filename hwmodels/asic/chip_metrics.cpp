#include "hwmodels/asic/chip_metrics.hpp"

#include <algorithm>

namespace cosearch::asic {

void ChipTotals::add(const LayerCost& layer) {
  macs += static_cast<double>(layer.macs);
  cycles += layer.cycles;
  energy_uj += layer.energy_uj;
  traffic_bytes += layer.traffic_bytes;
  dram_gbps = std::max(dram_gbps, asic::dram_gbps(layer));
}

double dram_gbps(const LayerCost& layer) {
  const auto known = layer.parts.find("dram_gbps");
  if (known != layer.parts.end()) {
    return known->second;
  }
  constexpr double kBytesPerMillisecond = 1e6;  // of a GB/s
  return layer.latency_ms > 0.0 ? layer.traffic_bytes / (kBytesPerMillisecond * layer.latency_ms) : 0.0;
}

Metrics chip_metrics(const ChipTotals& totals) {
  const double seconds = totals.cycles / totals.frequency_hz;
  return {
      {"area_mm2", totals.area_mm2},
      {"cycles", totals.cycles},
      {"dram_gbps", totals.dram_gbps},
      {"edp_nj_s", totals.energy_uj * 1e3 * seconds},
      {"energy_uj", totals.energy_uj},
      {"latency_ms", seconds * 1e3},
      {"macs", totals.macs},
      {"params", totals.params},
      {"power_mw", seconds > 0.0 ? totals.energy_uj * 1e-3 / seconds : 0.0},
      {"sram_bytes", totals.sram_bytes},
      {"traffic_bytes", totals.traffic_bytes},
      {"utilization", totals.cycles > 0.0 ? totals.macs / (totals.peak_macs_per_cycle * totals.cycles) : 0.0},
  };
}

std::vector<std::string> chip_metric_names() {
  std::vector<std::string> names;
  for (const auto& [name, value] : chip_metrics({})) {
    names.push_back(name);
  }
  return names;
}

}  // namespace cosearch::asic
