#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "spaces/ir/workload.hpp"

/// Attention and other cascades of einsums on a 2-D array beside a 1-D array, after FuseMax (Nayak et al., MICRO 2024):
/// any cascade x architecture x binding, with FLAT and an unfused baseline as points of the same model.
namespace cosearch::attention {

/// Functional units of a processing element.
enum class Unit { mac, add, max, exp, divide };
inline constexpr std::size_t kUnits = 5;
[[nodiscard]] const char* unit_name(Unit unit) noexcept;

/// Uses of each unit.
struct UnitCounts {
  std::array<std::int64_t, kUnits> of{};

  [[nodiscard]] std::int64_t& operator[](Unit unit) { return of[static_cast<std::size_t>(unit)]; }
  [[nodiscard]] std::int64_t operator[](Unit unit) const { return of[static_cast<std::size_t>(unit)]; }
};

/// Elementary operations of one iteration of an einsum: its combination and its reduction. A copy is free, as the
/// registers' reset is; nothing where the combination is none that a cascade is made of (opaque, gradients).
[[nodiscard]] std::optional<UnitCounts> units_of(const ir::Einsum& einsum);

/// What one element can do.
struct PeKind {
  std::string name;
  std::array<bool, kUnits> has{};
  bool chained = false;  ///< units follow one another in a pipeline: an operation of several takes the cycles of one
  std::int64_t registers = 0;  ///< words

  /// The operation in the units that are there: an exponential without a unit is multiply-accumulates, an addition
  /// without one is a multiply-accumulate. Nothing where a maximum or a division has no unit.
  [[nodiscard]] std::optional<UnitCounts> expand(const UnitCounts& operation) const;
  /// Cycles between the results of an expanded operation.
  [[nodiscard]] std::int64_t cycles(const UnitCounts& expanded) const noexcept;

  std::int64_t macs_of_exponential = 1;
};

/// How buffers of one organisation cost: anchored at one size.
struct BufferPrices {
  std::int64_t row_words = 1;
  std::int64_t bytes = 1;
  double read_row_pj = 0.0;
  double write_row_pj = 0.0;
  std::vector<std::pair<double, double>> area;  ///< (bytes, um2), sizes ascending

  [[nodiscard]] double read_pj_per_word(std::int64_t size_bytes) const;
  [[nodiscard]] double write_pj_per_word(std::int64_t size_bytes) const;
  [[nodiscard]] double area_um2(std::int64_t size_bytes) const;
};

/// Energies and areas, from hwmodels/data/attention.json.
struct Prices {
  std::array<double, kUnits> unit_pj{};
  double dram_pj_per_byte = 0.0;
  double register_read_pj = 0.0;
  double register_write_pj = 0.0;
  BufferPrices buffer;
  std::array<double, kUnits> unit_um2{};
  double register_file_um2 = 0.0;
  double register_file_words = 1.0;
  double register_file_um2_per_doubling = 0.0;
  double register_file_least_words = 1.0;
  double row_um2 = 0.0;

  /// One element with a register file for `tiles` tiles in flight.
  [[nodiscard]] double pe_um2(const PeKind& kind, std::int64_t tiles) const;
};

struct AttentionData {
  std::map<std::string, PeKind> pe_kinds;
  std::map<std::string, std::array<double, kUnits>> energy_tables;
  std::map<std::string, double> dram_pj_per_byte;
  std::map<std::string, BufferPrices> buffers;
  Prices rest;  ///< what does not depend on a choice
  std::int64_t word_bytes = 2;
  std::string fingerprint;

  /// @throws ConfigError for a name that is none.
  [[nodiscard]] Prices prices(const std::string& energy_table, const std::string& dram,
                              const std::string& buffer) const;
};
/// @throws ConfigError, see load_data.
[[nodiscard]] AttentionData load_attention_data(const std::string& data_directory);

}  // namespace cosearch::attention
