#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spaces/base/json_reader.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// Energy of one operation and area of the unit that does it, one per cycle.
struct UnitCost {
  double energy_pj = 0.0;
  double area_um2 = 0.0;
};

/// One SRAM macro as CACTI models it.
struct SramCost {
  std::int64_t bytes = 0;
  double read_pj_per_byte = 0.0;
  double write_pj_per_byte = 0.0;
  double leakage_mw = 0.0;
  double area_um2 = 0.0;
};

/// Energies and areas of one process node as data (hwmodels/data/energy_45nm.json, with a source for each figure).
struct EnergyTable {
  std::map<ir::ElementType, UnitCost> mac;  ///< by operand type; a missing type cannot be priced
  UnitCost register_bit;
  UnitCost vector_lane;  ///< one elementary operation (an fp16 multiply or add)
  /// Elementary operations that one element takes on a vector lane.
  std::map<ir::Combine, double> vector_operations;
  std::vector<SramCost> srams;  ///< by size, ascending
  std::map<std::string, double> dram_pj_per_bit;

  /// Interpolated between neighbouring sizes, linearly in the logarithms. Aborts outside the table's sizes.
  [[nodiscard]] SramCost sram(std::int64_t bytes) const;
};

/// @throws ConfigError, see load_data.
[[nodiscard]] EnergyTable load_energy_table(const std::string& name, const std::string& data_directory);

/// The kind of DRAM that a target's options name (`dram`), by default lpddr4. @throws ConfigError: the table has none.
[[nodiscard]] std::string dram_kind(const JsonReader& options, const EnergyTable& table);

/// Name of an element type in data files and messages.
[[nodiscard]] std::string type_name(ir::ElementType type);

}  // namespace cosearch::asic
