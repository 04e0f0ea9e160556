#include "experiments/cli/setting.hpp"

#include <fmt/format.h>

#include <utility>

#include "experiments/config/json_file.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {

using nlohmann::json;

namespace {

/// NAME and VALUE of a flag's text.
std::pair<std::string, std::string> split(const std::string& flag, const std::string& text, const char* example) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw ConfigError(flag, fmt::format("read \"{}\"; expected NAME=VALUE, e.g. {}", text, example));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

Setting parse_setting(const std::string& text) {
  const auto [name, value] = split("--set", text, "board=l4r5");
  const json parsed = json::parse(value, nullptr, false);
  return {name, parsed.is_number() ? parsed : json(value)};
}

Setting parse_target_option(const std::string& text) {
  const auto [name, value] = split("--option", text, "causal=true");
  if (value.starts_with('@')) {
    return {name, read_text_file(value.substr(1))};
  }
  const json parsed = json::parse(value, nullptr, false);
  return {name, parsed.is_number() || parsed.is_boolean() ? parsed : json(value)};
}

}  // namespace cosearch::cli
