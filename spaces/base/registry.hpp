#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spaces/base/config_error.hpp"

namespace cosearch {

/// The entry with this `name` of a registry: a sequence of structs with a `name`. @throws ConfigError (did you mean) at
/// `place`.
template <class Registry>
[[nodiscard]] const auto& entry_named(const Registry& registry, std::string_view name, const std::string& place) {
  std::vector<std::string> known;
  for (const auto& entry : registry) {
    if (entry.name == name) {
      return entry;
    }
    known.emplace_back(entry.name);
  }
  throw ConfigError(place, unknown_name(name, known));
}

}  // namespace cosearch
