#pragma once

#include <memory>
#include <span>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "spaces/space/search_space.hpp"

namespace cosearch {

/// A network space of the catalogue.
struct SpaceEntry {
  std::string_view name;
  std::string_view summary;
  /// `options`: the space's part of the config without `name` and `genes` ({} where it needs none).
  /// @throws ConfigError for unknown keys or values, and for tasks that the space does not suit; places are relative to
  /// the space's part (`/template/0/op`).
  std::unique_ptr<SearchSpace> (*make)(const nlohmann::json& options, const TaskShape& task);
};

/// Sorted by name.
[[nodiscard]] std::span<const SpaceEntry> space_registry();
/// @throws ConfigError (place "/space/name") for an unknown name, and what `make` throws with its place below "/space".
[[nodiscard]] std::unique_ptr<SearchSpace> make_space(const std::string& name, const nlohmann::json& options,
                                                      const TaskShape& task);

}  // namespace cosearch
