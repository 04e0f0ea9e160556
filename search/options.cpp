#include "search/options.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

std::string place_of(const std::string& key) { return (nlohmann::json::json_pointer{"/search"} / key).to_string(); }

[[noreturn]] void refuse(const std::string& key, const nlohmann::json& value, const std::string& allowed) {
  throw ConfigError{place_of(key), fmt::format("read {}, allowed: {}", value.dump(), allowed)};
}

}  // namespace

OptionReader::OptionReader(const nlohmann::json& options) : options_(options) {
  if (!options.is_object() && !options.is_null()) {
    throw ConfigError{"/search", fmt::format("read {}, allowed: an object", options.dump())};
  }
}

std::int64_t OptionReader::integer(const std::string& key, std::int64_t fallback, std::int64_t lower,
                                   std::int64_t upper) {
  known_.insert(key);
  if (!has(key)) {
    return fallback;
  }
  const nlohmann::json& value = options_.at(key);
  const std::string allowed = fmt::format("an integer from {} to {}", lower, upper);
  if (!value.is_number_integer() || value < lower || value > upper) {
    refuse(key, value, allowed);
  }
  return value.get<std::int64_t>();
}

double OptionReader::real(const std::string& key, double fallback, double lower, double upper) {
  known_.insert(key);
  if (!has(key)) {
    return fallback;
  }
  const nlohmann::json& value = options_.at(key);
  if (!value.is_number() || !(value.get<double>() >= lower && value.get<double>() <= upper)) {
    refuse(key, value, fmt::format("a number from {} to {}", lower, upper));
  }
  return value.get<double>();
}

bool OptionReader::has(const std::string& key) const { return options_.is_object() && options_.contains(key); }

void OptionReader::finish() const {
  for (const auto& [key, value] : options_.items()) {
    if (!known_.contains(key)) {
      const std::vector<std::string> known(known_.begin(), known_.end());
      throw ConfigError{place_of(key),
                        known.empty() ? "is not known; this algorithm has no options" : unknown_name(key, known)};
    }
  }
}

}  // namespace cosearch
