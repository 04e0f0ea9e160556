#include "trainer/data/config_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"

namespace cosearch::data_config {

void check_keys(const nlohmann::json& config, const std::vector<std::string>& known) {
  if (!config.is_object()) {
    throw ConfigError("", fmt::format("a data set is an object such as {{\"name\": \"fashion_mnist\"}}, read {}",
                                      config.type_name()));
  }
  for (const auto& item : config.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      throw ConfigError("/" + item.key(), unknown_name(item.key(), known));
    }
  }
}

std::int64_t integer(const nlohmann::json& config, const std::string& key, std::int64_t fallback, std::int64_t low,
                     std::int64_t high) {
  const auto found = config.find(key);
  if (found == config.end()) {
    return fallback;
  }
  // An unsigned number above the signed range would change its sign on the way.
  const bool huge = found->is_number_unsigned() && found->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (!found->is_number_integer() || huge || found->get<std::int64_t>() < low || found->get<std::int64_t>() > high) {
    throw ConfigError("/" + key, fmt::format("read {}, expected an integer from {} to {}", found->dump(), low, high));
  }
  return found->get<std::int64_t>();
}

std::string text(const nlohmann::json& config, const std::string& key, const std::string& fallback) {
  const auto found = config.find(key);
  if (found == config.end()) {
    return fallback;
  }
  if (!found->is_string()) {
    throw ConfigError("/" + key, fmt::format("read {}, expected a string", found->dump()));
  }
  return found->get<std::string>();
}

}  // namespace cosearch::data_config
