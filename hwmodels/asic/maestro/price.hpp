#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/asic/maestro/analysis.hpp"

namespace cosearch::maestro {

/// Buffer whose area and power grow by cells of `bytes`.
struct BufferPrice {
  double bytes = 1.0;
  double um2 = 0.0;
  double mw = 0.0;
};

/// Constants of MAESTRO's energy, area and power (hwmodels/data/maestro_constants.json).
struct Constants {
  double mac_energy = 0.0;  ///< in multiply-accumulates, as all energies but the next
  double l1_energy = 0.0;
  double l2_energy = 0.0;
  double nj_per_mac = 0.0;
  double mac_um2 = 0.0;
  double mac_mw = 0.0;
  BufferPrice l1;
  BufferPrice l2;
  double bus_um2 = 0.0;
  double bus_mw = 0.0;
  double arbiter_um2 = 0.0;
  double arbiter_mw = 0.0;
};

/// `set`: "current" or "2020"; `place` is that of the option that names it. @throws ConfigError, see load_data.
[[nodiscard]] Constants load_constants(const std::string& set, const std::string& place,
                                       const std::string& data_directory);

/// Energy of a layer in multiply-accumulates: those, L1 and L2 accesses.
[[nodiscard]] double energy_macs(const Analysis& analysis, const Constants& constants);

/// What an array is built of. Buffers in bytes, of which an element takes one; `l1_bytes` of each processing element.
struct Array {
  std::int64_t pes = 1;
  std::int64_t simd_lanes = 1;
  std::int64_t noc_bandwidth = 1;
  std::int64_t l1_bytes = 0;
  std::int64_t l2_bytes = 0;
};
/// Nine tenths of a large array are one matrix arbiter, quadratic in the number of processing elements.
[[nodiscard]] double area_um2(const Array& array, const Constants& constants);
/// A static figure, independent of the energy.
[[nodiscard]] double power_mw(const Array& array, const Constants& constants);

}  // namespace cosearch::maestro
