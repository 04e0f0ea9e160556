#include "hwmodels/asic/chip_metrics.hpp"

namespace cosearch::asic {

void ChipTotals::add(const LayerCost& layer) {
  macs += static_cast<double>(layer.macs);
  cycles += layer.cycles;
  energy_uj += layer.energy_uj;
  traffic_bytes += layer.traffic_bytes;
}

Metrics chip_metrics(const ChipTotals& totals) {
  const double seconds = totals.cycles / totals.frequency_hz;
  return {
      {"area_mm2", totals.area_mm2},
      {"cycles", totals.cycles},
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
