#pragma once

#include <optional>
#include <vector>

#include "trainer/quantize/quantize.hpp"

/// Which values share a quantisation; used by the files of this folder.
namespace cosearch::quantize {

/// Scales below this are those of values that are always 0; the reciprocal of its square is finite in fp32.
inline constexpr double kLeastScale = 1e-15;

/// Whether an int8 activation is looked up, not clamped.
[[nodiscard]] bool is_table(graph::ActivationKind kind);
/// Of a value in this range with 0 in it; a scale of at least `least_scale`, 1 for a value that is always 0.
[[nodiscard]] Quantization quantization_of(const ValueRange& range, bool symmetric, double least_scale);
/// The node of a chain whose value an activation by table looks up.
[[nodiscard]] std::optional<int> table_input(const graph::NetworkGraph& graph, const std::vector<int>& chain);

struct ValueGroups {
  explicit ValueGroups(const graph::NetworkGraph& graph);
  std::vector<std::vector<int>> chains;
  std::vector<int> own;         ///< of each node the node whose range decides how its value is quantised
  std::vector<bool> symmetric;  ///< of those nodes: the zero point is 0
};

}  // namespace cosearch::quantize
