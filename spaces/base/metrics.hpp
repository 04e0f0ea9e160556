#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cosearch {

enum class Direction { minimize, maximize };

/// A quantity that trials may have. Its name is the JSON key, the SQL column and the word in `--where`.
struct MetricInfo {
  std::string_view name;  ///< with unit
  Direction direction;
  std::string_view meaning;
  bool of_training = false;  ///< where several networks are searched together, each has one of its own
};

/// All metrics, sorted by name.
[[nodiscard]] std::span<const MetricInfo> metric_registry();
/// Of a metric of one of several networks (see `network_metric`): what it is a metric of, `accuracy` for
/// `accuracy_digits`.
[[nodiscard]] std::optional<MetricInfo> find_metric(std::string_view name);

/// What may name one of several networks: a letter and then letters, digits and _, all in lower case.
[[nodiscard]] bool is_network_name(std::string_view name);
/// `accuracy_digits`: the metric of the network of that name; without a name the metric itself.
[[nodiscard]] std::string network_metric(std::string_view metric, std::string_view network);

}  // namespace cosearch
