#include "hwmodels/json_reader.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

std::string escaped(const std::string& key) {
  return (nlohmann::json::json_pointer() / key).to_string();  // "/" + key with ~ and / escaped
}

std::string shown(const nlohmann::json& value) {
  constexpr std::size_t kLongest = 40;
  const std::string text = value.dump();
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

}  // namespace

JsonReader::JsonReader(const nlohmann::json& value, std::string file, std::string pointer)
    : value_(&value), file_(std::move(file)), pointer_(std::move(pointer)) {}

void JsonReader::fail(const std::string& message) const {
  throw ConfigError(pointer_.empty() ? "/" : pointer_, message, file_);
}

JsonReader JsonReader::at(const std::string& key) const {
  std::optional<JsonReader> found = find(key);
  if (!found) {
    fail("has no \"" + key + "\"");
  }
  return *std::move(found);
}

std::optional<JsonReader> JsonReader::find(const std::string& key) const {
  if (!value_->is_object()) {
    fail("is " + shown(*value_) + "; allowed: an object");
  }
  const auto found = value_->find(key);
  if (found == value_->end()) {
    return std::nullopt;
  }
  return JsonReader(*found, file_, pointer_ + escaped(key));
}

std::vector<JsonReader> JsonReader::items() const {
  if (!value_->is_array()) {
    fail("is " + shown(*value_) + "; allowed: an array");
  }
  std::vector<JsonReader> readers;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    readers.emplace_back((*value_)[i], file_, pointer_ + "/" + std::to_string(i));
  }
  return readers;
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members() const {
  if (!value_->is_object()) {
    fail("is " + shown(*value_) + "; allowed: an object");
  }
  std::vector<std::pair<std::string, JsonReader>> readers;
  for (const auto& [key, value] : value_->items()) {
    readers.emplace_back(key, JsonReader(value, file_, pointer_ + escaped(key)));
  }
  return readers;
}

void JsonReader::allow_keys(const std::vector<std::string>& known) const {
  for (const auto& [key, reader] : members()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      reader.fail("key " + unknown_name(key, known));
    }
  }
}

std::int64_t JsonReader::integer(std::int64_t minimum) const {
  if (!value_->is_number_integer() || value_->get<std::int64_t>() < minimum ||
      (value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::uint64_t{1} << 53U)) {
    fail("is " + shown(*value_) + "; allowed: an integer >= " + std::to_string(minimum));
  }
  return value_->get<std::int64_t>();
}

double JsonReader::number() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>())) {
    fail("is " + shown(*value_) + "; allowed: a number");
  }
  return value_->get<double>();
}

double JsonReader::positive() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>()) || value_->get<double>() <= 0.0) {
    fail("is " + shown(*value_) + "; allowed: a number > 0");
  }
  return value_->get<double>();
}

double JsonReader::non_negative() const {
  if (!value_->is_number() || !std::isfinite(value_->get<double>()) || value_->get<double>() < 0.0) {
    fail("is " + shown(*value_) + "; allowed: a number >= 0");
  }
  return value_->get<double>();
}

bool JsonReader::boolean() const {
  if (!value_->is_boolean()) {
    fail("is " + shown(*value_) + "; allowed: true or false");
  }
  return value_->get<bool>();
}

std::string JsonReader::text() const {
  if (!value_->is_string()) {
    fail("is " + shown(*value_) + "; allowed: a string");
  }
  return value_->get<std::string>();
}

std::string JsonReader::name_of(const std::vector<std::string>& known) const {
  std::string name = text();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail(unknown_name(name, known));
  }
  return name;
}

}  // namespace cosearch
