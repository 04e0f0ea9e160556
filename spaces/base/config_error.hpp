#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cosearch {

/// The user is wrong: a config, a file, a flag. Caught once, in `main`; exit code 2.
/// `what()` is one line: `file: place: message`, where `place` is a JSON pointer, a flag or a line number and
/// `message` says what was read and what is allowed. Empty parts are left out.
class ConfigError : public std::runtime_error {
 public:
  ConfigError(std::string place, std::string message, std::string file = {});

  /// The same error with the file's name filled in, for code that learns the file only on the way up.
  [[nodiscard]] ConfigError in_file(const std::string& file) const;
  /// The same error with `prefix` put before its place, for nested readers.
  [[nodiscard]] ConfigError below(const std::string& prefix) const;

  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] const std::string& place() const noexcept { return place_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

 private:
  std::string file_;
  std::string place_;
  std::string message_;
};

/// `"nsga3" is not known; known: nsga2, random; did you mean "nsga2"?` The hint appears when a known name is near
/// in edit distance. `known` is printed in the order given.
[[nodiscard]] std::string unknown_name(std::string_view read, const std::vector<std::string>& known);

}  // namespace cosearch
