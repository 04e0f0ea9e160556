#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace cosearch {

/// Reads an algorithm's options; places are JSON pointers below `/search`. Each option is read once, then `finish`
/// refuses those that nobody asked for. @throws ConfigError for wrong types, ranges and keys.
class OptionReader {
 public:
  /// `options` outlives the reader; null counts as empty.
  explicit OptionReader(const nlohmann::json& options);

  /// In [lower, upper]; `fallback` when it is missing.
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t lower,
                                     std::int64_t upper);
  [[nodiscard]] double real(const std::string& key, double fallback, double lower, double upper);
  [[nodiscard]] bool has(const std::string& key) const;

  void finish() const;

 private:
  const nlohmann::json& options_;
  std::set<std::string> known_;
};

}  // namespace cosearch
