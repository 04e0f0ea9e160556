#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spaces/base/expected.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/graph/ops/op.hpp"

/// Shape inference with the place of the fault; internal to spaces/graph.
namespace cosearch::graph {

/// What is wrong with a graph, where in its JSON form.
struct Fault {
  std::string pointer;  ///< `/nodes/3/groups`
  std::string message;  ///< one line; does not name the node
};

/// The Input's name.
inline constexpr std::string_view kInputName = "input";

/// Shape of node `index` when the nodes before it are sound and have these shapes; looks at the node alone.
[[nodiscard]] Expected<Shape, Fault> infer_node(const Node& node, std::size_t index, const std::vector<Shape>& shapes);
/// Output shapes of all nodes of a well-formed graph.
[[nodiscard]] Expected<std::vector<Shape>, Fault> infer_with_place(const NetworkGraph& graph);

/// The operator's name, weights and neighbours' shapes, for a graph whose shapes are known.
[[nodiscard]] ops::Site site_of(const NetworkGraph& graph, int node, const std::vector<Shape>& shapes);

/// Names of the enumerators, in their order.
[[nodiscard]] const std::vector<std::string>& activation_kind_names();
[[nodiscard]] const std::vector<std::string>& pool_kind_names();
[[nodiscard]] const std::vector<std::string>& moe_routing_names();
/// Names of the operators, in the order of the `Op` variant.
[[nodiscard]] const std::vector<std::string>& op_names();

}  // namespace cosearch::graph
