#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

/// Readers of a predictor's options. All throw ConfigError with the key's JSON pointer as place.
namespace cosearch::predictor_options {

/// `options` is null or an object whose keys are all in `known`.
void check_keys(const nlohmann::json& options, const std::vector<std::string>& known);
/// An integer in [low, high]; `fallback` when the key is absent.
[[nodiscard]] std::int64_t integer(const nlohmann::json& options, const std::string& key, std::int64_t fallback,
                                   std::int64_t low, std::int64_t high);
/// A number in [low, high]; nothing when the key is absent.
[[nodiscard]] std::optional<double> number(const nlohmann::json& options, const std::string& key, double low,
                                           double high);

}  // namespace cosearch::predictor_options
