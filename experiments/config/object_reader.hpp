#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"

namespace cosearch {

/// `expected <allowed>, read <value>`, long values cut short.
[[nodiscard]] ConfigError wrong_value(const std::string& place, const std::string& allowed, const nlohmann::json& read);

/// Reads the keys of one config object with checks; every error carries the key's JSON pointer.
class ObjectReader {
 public:
  /// @throws ConfigError when it is no object. The object outlives the reader.
  ObjectReader(const nlohmann::json& object, std::string place);

  /// @throws ConfigError for a key that is not listed (did you mean).
  void only(const std::vector<std::string>& known) const;
  [[nodiscard]] bool has(const std::string& key) const { return object_.contains(key); }
  /// @throws ConfigError when it is missing, saying what `allowed` would be.
  [[nodiscard]] const nlohmann::json& required(const std::string& key, const std::string& allowed) const;
  /// The value, or `otherwise` where the key is missing.
  [[nodiscard]] nlohmann::json optional(const std::string& key, nlohmann::json otherwise) const;

  [[nodiscard]] std::string text(const std::string& key) const;
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t otherwise, std::int64_t lower,
                                     std::int64_t upper) const;
  [[nodiscard]] double number(const std::string& key, double otherwise, double lower, double upper) const;
  /// The object without the given keys: options that somebody else reads.
  [[nodiscard]] nlohmann::json without(const std::vector<std::string>& keys) const;

  /// JSON pointer of a key.
  [[nodiscard]] std::string place(const std::string& key) const;

 private:
  const nlohmann::json& object_;
  std::string place_;
};

/// Runs `function`, which reads the part of the config at `prefix`; its errors come out with pointers from the root.
template <class Function>
auto in_section(const std::string& prefix, Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (const ConfigError& error) {
    const bool rooted = error.place() == prefix || error.place().starts_with(prefix + "/");
    if (rooted || !error.file().empty()) {
      throw;
    }
    throw error.below(prefix);
  }
}

}  // namespace cosearch
