#pragma once

#include <string>
#include <utility>

#include "spaces/base/config_error.hpp"

namespace cosearch {

/// Runs `function`, which reads the part of the config at `prefix`; its errors come out with pointers from the root.
template <class Function>
auto in_section(const std::string& prefix, Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (const ConfigError& error) {
    const bool rooted = error.place() == prefix || error.place().starts_with(prefix + "/");
    if (rooted || !error.file().empty()) {
      throw;
    }
    throw error.below(prefix);
  }
}

}  // namespace cosearch
