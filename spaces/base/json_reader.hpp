#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace cosearch {

/// JSON pointer (RFC 6901) of a member of the root: `/key` with `~` and `/` escaped.
[[nodiscard]] std::string pointer_to(const std::string& key);

/// The real numbers from `lower` to `upper`; an open end leaves its limit out.
struct Interval {
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
  bool open_lower = false;
  bool open_upper = false;

  [[nodiscard]] bool contains(double value) const;  ///< false for infinities and NaN
};
inline constexpr Interval kPositive{.lower = 0.0, .open_lower = true};
inline constexpr Interval kNonNegative{.lower = 0.0};
inline constexpr Interval kUnitInterval{.lower = 0.0, .upper = 1.0};

/// A value inside a JSON document together with its place; reads check it. All reads throw ConfigError with the file,
/// the JSON pointer and `expected <what is allowed>, read <value>`. Refers to the document, which must outlive it.
class JsonReader {
 public:
  /// Up to here doubles hold every integer: the upper limit of integers that have no limit of their own.
  static constexpr std::int64_t kLargestInteger = std::int64_t{1} << 53;

  explicit JsonReader(const nlohmann::json& value, std::string pointer = {}, std::string file = {});
  explicit JsonReader(nlohmann::json&& value, std::string pointer = {}, std::string file = {}) = delete;
  /// An object of options; null stands for one without members.
  [[nodiscard]] static JsonReader of_options(const nlohmann::json& options, std::string pointer = {});

  /// The object has no other keys.
  void only(const std::vector<std::string>& known) const;
  [[nodiscard]] bool has(const std::string& key) const;
  /// The member. Where the object has none, the reads of what is returned throw: it is missing.
  [[nodiscard]] JsonReader at(const std::string& key) const;
  /// The member, which must be there; `allowed` says what it is.
  [[nodiscard]] JsonReader required(const std::string& key, const std::string& allowed) const;
  [[nodiscard]] std::optional<JsonReader> find(const std::string& key) const;
  /// The member, or an object without members where there is none.
  [[nodiscard]] JsonReader section(const std::string& key) const;
  [[nodiscard]] std::vector<std::pair<std::string, JsonReader>> members() const;  ///< of an object, by key
  [[nodiscard]] std::vector<JsonReader> items(const std::string& allowed = "an array") const;
  /// The object without the given keys: options that somebody else reads.
  [[nodiscard]] nlohmann::json without(const std::vector<std::string>& keys) const;

  [[nodiscard]] std::int64_t integer(std::int64_t lower, std::int64_t upper = kLargestInteger) const;
  [[nodiscard]] double number(const Interval& interval = {}) const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string name_of(const std::vector<std::string>& known) const;

  /// The same of a member, or `fallback` where the object has none.
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t lower,
                                     std::int64_t upper = kLargestInteger) const;
  [[nodiscard]] double number(const std::string& key, double fallback, const Interval& interval) const;
  [[nodiscard]] bool boolean(const std::string& key, bool fallback) const;
  [[nodiscard]] std::string text(const std::string& key, const std::string& fallback) const;
  [[nodiscard]] std::string name_of(const std::string& key, const std::string& fallback,
                                    const std::vector<std::string>& known) const;

  [[nodiscard]] const nlohmann::json& value() const;  ///< unchecked, but it must be there
  [[nodiscard]] const std::string& pointer() const noexcept { return pointer_; }

  /// @throws ConfigError: `expected <allowed>, read <value>`, long values cut short.
  [[noreturn]] void refuse(const std::string& allowed) const;
  /// @throws ConfigError with this place.
  [[noreturn]] void fail(const std::string& message) const;

 private:
  JsonReader(const nlohmann::json* value, std::string pointer, std::string file);
  [[nodiscard]] const nlohmann::json& object() const;

  const nlohmann::json* value_;  ///< null: missing
  std::string pointer_;
  std::string file_;
};

}  // namespace cosearch
