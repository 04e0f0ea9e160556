#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

/// Readers of a data set's config object. All throw ConfigError with the key's JSON pointer as place.
namespace cosearch::data_config {

/// `config` is an object whose keys are all in `known`.
void check_keys(const nlohmann::json& config, const std::vector<std::string>& known);
/// An integer in [low, high]; `fallback` when the key is absent.
[[nodiscard]] std::int64_t integer(const nlohmann::json& config, const std::string& key, std::int64_t fallback,
                                   std::int64_t low, std::int64_t high);
/// A string; `fallback` when the key is absent.
[[nodiscard]] std::string text(const nlohmann::json& config, const std::string& key, const std::string& fallback);

}  // namespace cosearch::data_config
