#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/loop_nest.hpp"

namespace cosearch::asic {

/// The part of one loop in an einsum, as a letter of the convolution that every product is a case of:
///   N P Q  in the output, not in the weight: the last such axis of the output is Q, the one before P, all others N;
///          axes that a filter slides along count as last
///   K      in the output and the weight
///   C      reduced; R and S: reduced, in one axis with P or Q (filter rows and columns)
///   G      in all tensors: groups, heads, channels of a depthwise convolution
/// So the rows of a matrix product are Q, its columns K.
[[nodiscard]] std::string loop_parts(const ir::Einsum& einsum, std::span<const EinsumTensor> tensors);

/// Which loops may run at one level and where, bit by loop of the einsum.
struct LevelRule {
  std::uint32_t temporal = ~0U;
  std::uint32_t spatial_x = ~0U;
  std::uint32_t spatial_y = ~0U;
  std::vector<int> order;  ///< of all temporal loops, outermost first; empty: any
};

/// The map space of an einsum on an architecture: what a mapper may choose from.
struct MapRules {
  std::array<LevelRule, kMaxLevels> levels;
  std::optional<Role> stationary;  ///< temporal loops that do not move its tile are innermost at every level
  bool bypass = true;              ///< levels may leave out tensors that they could keep
};

/// A dataflow template: a named constraint on mappings for any architecture (hwmodels/data/dataflows.json).
struct Dataflow {
  std::string name;
  std::string summary;
  std::optional<std::string> spatial_x;  ///< letters of the loops that may lie along x; nothing: all
  std::optional<std::string> spatial_y;
  std::optional<Role> stationary;
};

/// Sorted by name. @throws ConfigError, see load_data.
[[nodiscard]] std::vector<Dataflow> load_dataflows(const std::string& data_directory);

/// The rules of the architecture's own levels (MemoryLevel::loops) and, where given, of a template, which replaces
/// what the levels say about space and order.
[[nodiscard]] MapRules map_rules(const Arch& arch, const Dataflow* dataflow, const ir::Einsum& einsum,
                                 std::span<const EinsumTensor> tensors);

}  // namespace cosearch::asic
