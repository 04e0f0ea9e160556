#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/export/design.hpp"

namespace cosearch {

/// A form in which designs leave.
struct ExportFormat {
  std::string_view name;
  std::string_view summary;
  /// Writes the design below `directory` (which exists), each file atomically; returns the names of its files, the
  /// one to open first in front. @throws std::runtime_error naming the path that cannot be written.
  std::vector<std::string> (*write)(const Design& design, const std::string& directory);
};

/// Sorted by name.
[[nodiscard]] std::span<const ExportFormat> export_registry();
/// @throws ConfigError (place `--format`) for an unknown name.
[[nodiscard]] const ExportFormat& export_format(const std::string& name);

}  // namespace cosearch
