#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spaces/base/json_reader.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// What a tensor is to a multiply-accumulate einsum; memories say which of these they keep.
enum class Role { input, weight, output };
inline constexpr int kRoles = 3;

/// Memory levels that an architecture has at most.
inline constexpr int kMaxLevels = 8;

/// A grid of equal instances.
struct Grid {
  std::int64_t x = 1;
  std::int64_t y = 1;

  [[nodiscard]] std::int64_t size() const noexcept { return x * y; }
  bool operator==(const Grid&) const = default;
};

/// One level of memory and the network from it to the next inner level (the MACs below the innermost one). A word holds
/// one element. Capacity and bandwidth are those of one instance.
struct MemoryLevel {
  std::string name;
  std::optional<std::int64_t> capacity_words;  ///< nothing: unbounded
  std::int64_t word_bits = 16;
  std::int64_t block_words = 1;          ///< words that one access moves
  std::optional<double> read_bandwidth;  ///< words per cycle; nothing: unbounded
  std::optional<double> write_bandwidth;
  Grid instances;
  std::array<bool, kRoles> keeps{};  ///< by Role
  bool multicast = true;             ///< the network delivers one read to several instances
  bool spatial_reduction = true;     ///< the network adds up what several instances send for one element
  std::string dram;                  ///< kind of DRAM; empty: on chip

  bool operator==(const MemoryLevel&) const = default;
};

/// An accelerator as data: memories around an array of multiply-accumulate units.
struct Arch {
  std::string name;
  double node_nm = 45.0;
  double frequency_hz = 1e9;
  ir::ElementType mac_type = ir::ElementType::int16;
  Grid macs;
  std::vector<MemoryLevel> levels;  ///< innermost (nearest to the MACs) first, the outermost one is unbounded

  /// Instances of what lies inside of `level` (the MACs for 0) that one instance of it serves.
  [[nodiscard]] Grid fan_out(int level) const;
  bool operator==(const Arch&) const = default;
};

/// Reads an architecture:
///   {"name", "node_nm", "frequency_mhz", "mac": {"type", "instances": [x, y]},
///    "levels": [{"name", "capacity_words" or "capacity_bytes", "word_bits", "block_words": 1, "read_bandwidth",
///                "write_bandwidth", "instances": [x, y], "keeps": ["input", "weight", "output"], "multicast": true,
///                "spatial_reduction": true, "dram"}]}, and "source" texts anywhere.
/// @throws ConfigError with the place: missing or unknown fields, sizes and bandwidths that are not positive, instances
/// that do not divide those of the next inner level, a bounded outermost level, tensors that it does not keep,
/// numbers of instances that do not fit 32 bits.
[[nodiscard]] Arch read_arch(const JsonReader& reader);

/// The preset or file `arch_<name>`, see load_data.
[[nodiscard]] Arch load_arch(const std::string& name, const std::string& data_directory);

}  // namespace cosearch::asic
