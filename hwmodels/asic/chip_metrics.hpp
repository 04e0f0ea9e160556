#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/model.hpp"

namespace cosearch::asic {

/// What all models of accelerators add up over their layers.
struct ChipTotals {
  double params = 0.0;
  double macs = 0.0;
  double cycles = 0.0;
  double energy_uj = 0.0;
  double traffic_bytes = 0.0;
  double dram_gbps = 0.0;  ///< the highest of a layer
  double sram_bytes = 0.0;
  double area_mm2 = 0.0;
  double frequency_hz = 1.0;
  double peak_macs_per_cycle = 1.0;

  /// All figures of a layer that add up, and its rate of the external memory, see dram_gbps.
  void add(const LayerCost& layer);
};
/// The rate at which a layer needs the external memory for its time, GB/s: `dram_gbps` of its parts, or the mean over
/// its time where it has none.
[[nodiscard]] double dram_gbps(const LayerCost& layer);
/// The metrics that chip_metric_names lists.
[[nodiscard]] Metrics chip_metrics(const ChipTotals& totals);
/// Sorted.
[[nodiscard]] std::vector<std::string> chip_metric_names();

}  // namespace cosearch::asic
