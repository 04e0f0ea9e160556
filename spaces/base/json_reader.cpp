#include "spaces/base/json_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

const json& empty_object() {
  static const json empty = json::object();
  return empty;
}

/// One line, also of text that is no UTF-8, and not endless.
std::string shown(const json& value) {
  constexpr std::size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() <= kLongest) {
    return text;
  }
  std::size_t end = kLongest;
  const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; };
  while (continues(text[end])) {  // not within a character
    --end;
  }
  return text.substr(0, end) + "...";
}

std::string described(const Interval& interval) {
  const bool lower = std::isfinite(interval.lower);
  const bool upper = std::isfinite(interval.upper);
  if (lower && upper && !interval.open_lower && !interval.open_upper) {
    return fmt::format("a number from {} to {}", interval.lower, interval.upper);
  }
  std::string text = "a number";
  if (lower) {
    text += fmt::format("{} {}", interval.open_lower ? " above" : " of at least", interval.lower);
  }
  if (upper) {
    text += fmt::format("{}{} {}", lower ? " and" : "", interval.open_upper ? " below" : " of at most", interval.upper);
  }
  return text;
}

}  // namespace

std::string pointer_to(const std::string& key) { return (json::json_pointer() / key).to_string(); }

bool Interval::contains(double value) const {
  return std::isfinite(value) && (open_lower ? value > lower : value >= lower) &&
         (open_upper ? value < upper : value <= upper);
}

JsonReader::JsonReader(const json& value, std::string pointer, std::string file)
    : JsonReader(&value, std::move(pointer), std::move(file)) {}

JsonReader::JsonReader(const json* value, std::string pointer, std::string file)
    : value_(value), pointer_(std::move(pointer)), file_(std::move(file)) {}

JsonReader JsonReader::of_options(const json& options, std::string pointer) {
  return JsonReader(options.is_null() ? empty_object() : options, std::move(pointer));
}

void JsonReader::fail(const std::string& message) const { throw ConfigError(pointer_, message, file_); }

void JsonReader::refuse(const std::string& allowed) const {
  fail(value_ == nullptr ? fmt::format("is missing; expected {}", allowed)
                         : fmt::format("expected {}, read {}", allowed, shown(*value_)));
}

const json& JsonReader::value() const {
  if (value_ == nullptr) {
    refuse("a value");
  }
  return *value_;
}

const json& JsonReader::object() const {
  if (value_ == nullptr || !value_->is_object()) {
    refuse("an object");
  }
  return *value_;
}

void JsonReader::only(const std::vector<std::string>& known) const {
  for (const auto& [key, reader] : members()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      reader.fail(unknown_name(key, known));
    }
  }
}

bool JsonReader::has(const std::string& key) const { return object().contains(key); }

JsonReader JsonReader::at(const std::string& key) const {
  const auto found = object().find(key);
  return {found == value_->end() ? nullptr : &*found, pointer_ + pointer_to(key), file_};
}

JsonReader JsonReader::required(const std::string& key, const std::string& allowed) const {
  JsonReader member = at(key);
  if (member.value_ == nullptr) {
    member.refuse(allowed);
  }
  return member;
}

std::optional<JsonReader> JsonReader::find(const std::string& key) const {
  return has(key) ? std::optional(at(key)) : std::nullopt;
}

JsonReader JsonReader::section(const std::string& key) const {
  return has(key) ? at(key) : JsonReader(empty_object(), pointer_ + pointer_to(key), file_);
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members() const {
  std::vector<std::pair<std::string, JsonReader>> readers;
  for (const auto& item : object().items()) {
    readers.emplace_back(item.key(), at(item.key()));
  }
  return readers;
}

std::vector<JsonReader> JsonReader::items(const std::string& allowed) const {
  if (value_ == nullptr || !value_->is_array()) {
    refuse(allowed);
  }
  std::vector<JsonReader> readers;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    readers.emplace_back((*value_)[i], fmt::format("{}/{}", pointer_, i), file_);
  }
  return readers;
}

json JsonReader::without(const std::vector<std::string>& keys) const {
  json rest = object();
  for (const std::string& key : keys) {
    rest.erase(key);
  }
  return rest;
}

std::int64_t JsonReader::integer(std::int64_t lower, std::int64_t upper) const {
  const auto within = [&] {
    if (value_ == nullptr || !value_->is_number_integer()) {
      return false;
    }
    // An unsigned number above the signed range would change its sign on the way.
    if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
      return false;
    }
    return value_->get<std::int64_t>() >= lower && value_->get<std::int64_t>() <= upper;
  };
  if (!within()) {
    refuse(fmt::format("an integer from {} to {}", lower, upper));
  }
  return value_->get<std::int64_t>();
}

double JsonReader::number(const Interval& interval) const {
  if (value_ == nullptr || !value_->is_number() || !interval.contains(value_->get<double>())) {
    refuse(described(interval));
  }
  return value_->get<double>();
}

bool JsonReader::boolean() const {
  if (value_ == nullptr || !value_->is_boolean()) {
    refuse("true or false");
  }
  return value_->get<bool>();
}

std::string JsonReader::text() const {
  if (value_ == nullptr || !value_->is_string()) {
    refuse("a string");
  }
  return value_->get<std::string>();
}

std::string JsonReader::name_of(const std::vector<std::string>& known) const {
  if (value_ == nullptr || !value_->is_string()) {
    refuse(fmt::format("one of {}", fmt::join(known, ", ")));
  }
  auto name = value_->get<std::string>();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail(unknown_name(name, known));
  }
  return name;
}

std::int64_t JsonReader::integer(const std::string& key, std::int64_t fallback, std::int64_t lower,
                                 std::int64_t upper) const {
  return has(key) ? at(key).integer(lower, upper) : fallback;
}

double JsonReader::number(const std::string& key, double fallback, const Interval& interval) const {
  return has(key) ? at(key).number(interval) : fallback;
}

bool JsonReader::boolean(const std::string& key, bool fallback) const {
  return has(key) ? at(key).boolean() : fallback;
}

std::string JsonReader::text(const std::string& key, const std::string& fallback) const {
  return has(key) ? at(key).text() : fallback;
}

std::string JsonReader::name_of(const std::string& key, const std::string& fallback,
                                const std::vector<std::string>& known) const {
  return has(key) ? at(key).name_of(known) : fallback;
}

}  // namespace cosearch
