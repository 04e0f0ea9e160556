#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace cosearch::cli {

/// One `--set NAME=VALUE`.
struct Setting {
  std::string name;
  nlohmann::json value;  ///< a number where the text is one, else a string
};

/// @throws ConfigError when there is no name or no `=`.
[[nodiscard]] Setting parse_setting(const std::string& text);

/// One `--option NAME=VALUE` of a target: also `true` and `false`, and `@FILE` for the text of a file. @throws
/// ConfigError as above, and for a file that cannot be read.
[[nodiscard]] Setting parse_target_option(const std::string& text);

}  // namespace cosearch::cli
