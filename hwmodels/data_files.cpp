#include "hwmodels/data_files.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

std::optional<std::filesystem::path> overriding_file(const std::string& name, const std::string& directory) {
  if (directory.empty()) {
    return std::nullopt;
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    throw ConfigError(directory, "is not a directory; expected one with model data (*.json)");
  }
  const std::filesystem::path path = std::filesystem::path(directory) / (name + ".json");
  return std::filesystem::exists(path, ignored) ? std::optional(path) : std::nullopt;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream.good() || text.fail()) {
    throw ConfigError("", "cannot be read", path.string());
  }
  return text.str();
}

}  // namespace

std::string data_file_name(const std::string& name, const std::string& directory) {
  const std::optional<std::filesystem::path> path = overriding_file(name, directory);
  return path ? path->string() : name + ".json";
}

nlohmann::json load_data(const std::string& name, const std::string& directory) {
  std::string text;
  if (const std::optional<std::filesystem::path> path = overriding_file(name, directory)) {
    text = read_text(*path);
  } else {
    std::vector<std::string> known;
    for (const EmbeddedFile& file : embedded_files()) {
      known.emplace_back(file.name);
      if (file.name == name) {
        text = file.text;
      }
    }
    if (text.empty()) {
      throw ConfigError("", "model data " + unknown_name(name, known));
    }
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    throw ConfigError("byte " + std::to_string(error.byte), "is not JSON here", data_file_name(name, directory));
  }
}

}  // namespace cosearch
