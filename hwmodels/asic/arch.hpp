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

/// What the hardware around a level fixes of mappings, in the letters of loop_parts (`N P Q K C R S G`).
struct LevelLoops {
  std::optional<std::string> temporal;  ///< loops that may run over the level's tiles; nothing: all
  bool ordered = false;                 ///< in that order, outermost first
  std::optional<std::string> spatial_x;
  std::optional<std::string> spatial_y;

  bool operator==(const LevelLoops&) const = default;
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
  int ports = 2;                 ///< 1: reads and writes wait for each other
  bool double_buffered = false;  ///< half of the capacity is filled while the other half is used
  Grid instances;
  std::array<bool, kRoles> keeps{};  ///< by Role
  bool multicast = true;             ///< the network delivers one read to several instances
  bool spatial_reduction = true;     ///< the network adds up what several instances send for one element
  double hop_pj = 0.0;               ///< a word's way between the network outside and one instance of the level
  std::string dram;                  ///< kind of DRAM; empty: on chip
  LevelLoops loops;                  ///< the architecture's own dataflow

  /// Of one buffer; the largest integer where the level is unbounded.
  [[nodiscard]] std::int64_t usable_words() const noexcept;
  bool operator==(const MemoryLevel&) const = default;
};

/// An accelerator as data: memories around an array of multiply-accumulate units. SIMD lanes are multiply-accumulate
/// units that share an instance of the innermost memory. What is no product runs on vector lanes beside the outermost
/// memory on the chip.
struct Arch {
  std::string name;
  double node_nm = 45.0;
  double frequency_hz = 1e9;
  ir::ElementType mac_type = ir::ElementType::int16;
  Grid macs;
  /// From the first operands that enter the array until the last sum has left it, beyond the multiply-accumulates'
  /// cycles. Once per product: its tiles follow each other without gaps, but the next product needs its results.
  std::int64_t fill_cycles = 0;
  std::int64_t vector_lanes = 1;
  std::vector<MemoryLevel> levels;  ///< innermost (nearest to the MACs) first, the outermost one is unbounded

  /// Instances of what lies inside of `level` (the MACs for 0) that one instance of it serves.
  [[nodiscard]] Grid fan_out(int level) const;
  /// Where tensors stay between einsums: the outermost memory on the chip that has one instance and keeps inputs and
  /// outputs; -1 where there is none.
  [[nodiscard]] int resident_level() const noexcept;
  bool operator==(const Arch&) const = default;
};

/// Reads an architecture:
///   {"name", "node_nm", "frequency_mhz", "mac": {"type", "instances": [x, y], "fill_cycles": 0},
///    "vector_lanes": columns of the array,
///    "levels": [{"name", "capacity_words" or "capacity_bytes", "word_bits", "block_words": 1, "read_bandwidth",
///                "write_bandwidth", "ports": 2, "double_buffered": false, "instances": [x, y],
///                "keeps": ["input", "weight", "output"], "multicast": true, "spatial_reduction": true, "hop_pj": 0,
///                "dram",
///                "loops": {"temporal", "ordered": false, "x", "y"}}]}, and "source" texts anywhere.
/// @throws ConfigError with the place: missing or unknown fields, sizes and bandwidths that are not positive, instances
/// that do not divide those of the next inner level, a bounded outermost level, tensors that it does not keep,
/// numbers of instances that do not fit 32 bits.
[[nodiscard]] Arch read_arch(const JsonReader& reader);

/// Letters of loop_parts, each at most once. Nothing where the key is missing. @throws ConfigError.
[[nodiscard]] std::optional<std::string> read_parts(const JsonReader& reader, const std::string& key);
/// input, weight or output. @throws ConfigError.
[[nodiscard]] Role read_role(const JsonReader& reader);

/// The preset or file `arch_<name>`, see load_data.
[[nodiscard]] Arch load_arch(const std::string& name, const std::string& data_directory);

}  // namespace cosearch::asic
