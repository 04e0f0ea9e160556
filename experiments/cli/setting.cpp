#include "experiments/cli/setting.hpp"

#include <fmt/format.h>

#include "spaces/base/config_error.hpp"

namespace cosearch::cli {

using nlohmann::json;

Setting parse_setting(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw ConfigError("--set", fmt::format("read \"{}\"; expected NAME=VALUE, e.g. board=l4r5", text));
  }
  const std::string value = text.substr(equals + 1);
  const json parsed = json::parse(value, nullptr, false);
  return {text.substr(0, equals), parsed.is_number() ? parsed : json(value)};
}

}  // namespace cosearch::cli
