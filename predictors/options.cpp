#include "predictors/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"

namespace cosearch::predictor_options {

void check_keys(const nlohmann::json& options, const std::vector<std::string>& known) {
  if (options.is_null()) {
    return;
  }
  if (!options.is_object()) {
    throw ConfigError("", fmt::format("a predictor's options are an object, read {}", options.type_name()));
  }
  for (const auto& item : options.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      throw ConfigError("/" + item.key(), unknown_name(item.key(), known));
    }
  }
}

std::int64_t integer(const nlohmann::json& options, const std::string& key, std::int64_t fallback, std::int64_t low,
                     std::int64_t high) {
  if (!options.contains(key)) {
    return fallback;
  }
  const nlohmann::json& value = options.at(key);
  const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(high);
  if (!value.is_number_integer() || huge || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    throw ConfigError("/" + key, fmt::format("read {}, expected an integer from {} to {}", value.dump(), low, high));
  }
  return value.get<std::int64_t>();
}

std::optional<double> number(const nlohmann::json& options, const std::string& key, double low, double high) {
  if (!options.contains(key)) {
    return std::nullopt;
  }
  const nlohmann::json& value = options.at(key);
  if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high)) {
    throw ConfigError("/" + key, fmt::format("read {}, expected a number from {} to {}", value.dump(), low, high));
  }
  return value.get<double>();
}

}  // namespace cosearch::predictor_options
