#pragma once

#include <span>
#include <string>
#include <string_view>

#include "spaces/graph/graph.hpp"

namespace cosearch {

/// A well-known network, for `estimate --network NAME` and for judging cost models by published figures.
struct NetworkEntry {
  std::string_view name;
  std::string_view summary;
  graph::NetworkGraph (*make)();
};

/// Sorted by name.
[[nodiscard]] std::span<const NetworkEntry> network_registry();
/// @throws ConfigError (place "--network") for an unknown name.
[[nodiscard]] graph::NetworkGraph make_network(const std::string& name);

}  // namespace cosearch
