#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace cosearch {

enum class Direction { minimize, maximize };

/// A quantity that trials may have. Its name is the JSON key, the SQL column and the word in `--where`.
struct MetricInfo {
  std::string_view name;  ///< with unit
  Direction direction;
  std::string_view meaning;
};

/// All metrics, sorted by name.
[[nodiscard]] std::span<const MetricInfo> metric_registry();
[[nodiscard]] std::optional<MetricInfo> find_metric(std::string_view name);

}  // namespace cosearch
