#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/loop_nest.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::testing {

/// What Timeloop printed of one tensor at one level: words of one instance, energy of all.
struct TimeloopRow {
  std::size_t level = 0, tensor = 0;
  std::int64_t partition = 0, tile = 0, instances = 0, reads = 0, updates = 0, fills = 0, temporal_reductions = 0;
  double energy_pj = 0.0;
};

/// A layer, its nest and what Timeloop printed (tests/data/timeloop_eyeriss256.csv and _nests.txt).
struct TimeloopCase {
  std::string name;
  ir::Workload workload;  ///< tensors Weights, Inputs, Outputs
  asic::LoopNest nest;
  double utilization = 0.0, energy_uj = 0.0;
  std::int64_t cycles = 0, computes = 0;
  std::map<std::string, double> femtojoules;  ///< per multiply-accumulate, by level, `MACs` and `Total`
  std::vector<TimeloopRow> rows;
};

[[nodiscard]] std::vector<TimeloopCase> timeloop_cases(const asic::Arch& arch);

}  // namespace cosearch::testing
