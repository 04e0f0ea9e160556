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

}  // namespace cosearch::cli
