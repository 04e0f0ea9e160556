#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/count.hpp"
#include "hwmodels/asic/energy_table.hpp"

namespace cosearch::asic {

/// Energy of an access that grows linearly with the memory (Timeloop's built-in model).
struct LinearMemory {
  double reference_bits = 16.0;      ///< of a block at which the energies hold; others in proportion
  double reference_kilobytes = 0.5;  ///< KiB
  double reference_pj = 1.0;
  double pj_per_kilobyte = 0.0;
  double area_um2_per_bit = 0.0;
};

/// Factors from the table's node to another.
struct NodeScale {
  double energy = 1.0;
  double area = 1.0;
};

/// Energies, areas and static power as data (hwmodels/data/energy_*.json). Memories are either linear or registers up
/// to the smallest SRAM macro, macros from there on and several of the largest beyond.
struct PriceTable {
  std::string file;  ///< for messages
  double node_nm = 45.0;
  std::map<ir::ElementType, UnitCost> mac;
  UnitCost addition;  ///< of two partial sums
  double static_mw_per_mm2 = 0.0;
  std::optional<LinearMemory> linear;
  EnergyTable macros;                             ///< registers and SRAM where `linear` is absent
  std::map<std::string, double> dram_pj_per_bit;  ///< `any` stands for kinds that are not named
  std::map<double, NodeScale> scaling;            ///< by node in nm
};

/// @throws ConfigError, see load_data; missing and negative entries.
[[nodiscard]] PriceTable load_price_table(const std::string& name, const std::string& data_directory);

/// One memory instance. Energies of moving one block.
struct MemoryPrice {
  double read_pj = 0.0;
  double write_pj = 0.0;
  double area_um2 = 0.0;
  double static_mw = 0.0;
};

/// What a nest costs in energy, by component, and what the architecture costs in area and static power.
struct Price {
  std::array<std::array<double, kMaxTensors>, kMaxLevels> access_pj{};  ///< by level and tensor, all instances
  double mac_pj = 0.0;
  double reduction_pj = 0.0;  ///< temporal and spatial additions
  double network_pj = 0.0;    ///< words that arrive at and leave instances whose level has a `hop_pj`
  double static_pj = 0.0;     ///< static power over the nest's cycles
  double total_pj = 0.0;
};

/// Prices counts of one architecture with one table. Prepared once, then without allocation.
class Pricing {
 public:
  /// @throws ConfigError naming the table's file and entry: no multiply-accumulate of the architecture's type, no such
  /// kind of DRAM, no factors for its node; an unbounded level that is no DRAM.
  Pricing(const Arch& arch, const PriceTable& table);

  /// Accesses move whole blocks: those of one tensor and instance, rounded up. All of the levels' words are priced as
  /// reads (reads) and writes (fills and updates).
  [[nodiscard]] Price price(const Counts& counts) const;

  [[nodiscard]] const MemoryPrice& memory(int level) const { return memories_.at(static_cast<std::size_t>(level)); }
  /// Of MACs, adders and memories on the chip; DRAM is not on it. Above 0.
  [[nodiscard]] double area_um2() const noexcept { return area_um2_; }
  [[nodiscard]] double static_mw() const noexcept { return static_mw_; }
  /// Of static power over cycles.
  [[nodiscard]] double static_pj(double cycles) const noexcept;
  [[nodiscard]] double mac_pj() const noexcept { return mac_pj_; }

 private:
  [[nodiscard]] double network_pj(const Counts& counts) const;

  Arch arch_;
  std::vector<MemoryPrice> memories_;
  double mac_pj_ = 0.0;
  double addition_pj_ = 0.0;
  bool hops_ = false;  ///< some level has a `hop_pj`
  double area_um2_ = 0.0;
  double static_mw_ = 0.0;
};

}  // namespace cosearch::asic
