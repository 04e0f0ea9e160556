#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace cosearch {

/// A value inside a JSON document together with its place, for reads that say what was wrong and where. All reads throw
/// ConfigError with the file, the JSON pointer, what was read and what is allowed. Refers to the document: it must
/// outlive the reader.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& value, std::string file, std::string pointer = {});

  [[nodiscard]] JsonReader at(const std::string& key) const;
  [[nodiscard]] std::optional<JsonReader> find(const std::string& key) const;
  [[nodiscard]] std::vector<JsonReader> items() const;  ///< of an array
  /// Of an object, by key.
  [[nodiscard]] std::vector<std::pair<std::string, JsonReader>> members() const;
  /// The object has no other keys.
  void allow_keys(const std::vector<std::string>& known) const;

  [[nodiscard]] std::int64_t integer(std::int64_t minimum) const;
  [[nodiscard]] double positive() const;
  [[nodiscard]] double non_negative() const;
  [[nodiscard]] double number() const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::string text() const;
  /// One of `known`.
  [[nodiscard]] std::string name_of(const std::vector<std::string>& known) const;

  [[noreturn]] void fail(const std::string& message) const;

 private:
  const nlohmann::json* value_;
  std::string file_;
  std::string pointer_;
};

}  // namespace cosearch
