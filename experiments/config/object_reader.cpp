#include "experiments/config/object_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "spaces/space/domain.hpp"

namespace cosearch {

using nlohmann::json;

ConfigError wrong_value(const std::string& place, const std::string& allowed, const json& read) {
  constexpr std::size_t kLongest = 60;
  std::string text = read.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kLongest) {
    text = text.substr(0, kLongest) + "...";
  }
  return {place, fmt::format("expected {}, read {}", allowed, text)};
}

ObjectReader::ObjectReader(const json& object, std::string place) : object_(object), place_(std::move(place)) {
  if (!object.is_object()) {
    throw wrong_value(place_, "an object", object);
  }
}

void ObjectReader::only(const std::vector<std::string>& known) const {
  for (const auto& [key, value] : object_.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw ConfigError(place(key), unknown_name(key, known));
    }
  }
}

const json& ObjectReader::required(const std::string& key, const std::string& allowed) const {
  const auto found = object_.find(key);
  if (found == object_.end()) {
    throw ConfigError(place(key), fmt::format("is missing; expected {}", allowed));
  }
  return *found;
}

json ObjectReader::optional(const std::string& key, json otherwise) const {
  const auto found = object_.find(key);
  return found == object_.end() ? std::move(otherwise) : *found;
}

std::string ObjectReader::text(const std::string& key) const {
  const json& value = required(key, "a text");
  if (!value.is_string()) {
    throw wrong_value(place(key), "a text", value);
  }
  return value.get<std::string>();
}

std::int64_t ObjectReader::integer(const std::string& key, std::int64_t otherwise, std::int64_t lower,
                                   std::int64_t upper) const {
  const auto found = object_.find(key);
  if (found == object_.end()) {
    return otherwise;
  }
  // An unsigned beyond int64 would wrap in get<>.
  const bool fits = found->is_number_integer() &&
                    (!found->is_number_unsigned() || found->get<std::uint64_t>() <= static_cast<std::uint64_t>(upper));
  if (!fits || found->get<std::int64_t>() < lower || found->get<std::int64_t>() > upper) {
    throw wrong_value(place(key), fmt::format("an integer from {} to {}", lower, upper), *found);
  }
  return found->get<std::int64_t>();
}

double ObjectReader::number(const std::string& key, double otherwise, double lower, double upper) const {
  const auto found = object_.find(key);
  if (found == object_.end()) {
    return otherwise;
  }
  if (!found->is_number() || !(found->get<double>() >= lower) || !(found->get<double>() <= upper)) {
    throw wrong_value(place(key), fmt::format("a number from {} to {}", lower, upper), *found);
  }
  return found->get<double>();
}

json ObjectReader::without(const std::vector<std::string>& keys) const {
  json rest = object_;
  for (const std::string& key : keys) {
    rest.erase(key);
  }
  return rest;
}

std::string ObjectReader::place(const std::string& key) const { return place_ + domain::place_of(key); }

}  // namespace cosearch
