#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace cosearch {

/// JSON with // and /* */ comments.
/// @throws ConfigError (file `file`) with line and column of a syntax error, or naming a key that an object has twice.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, const std::string& file);
/// The same from a file. @throws ConfigError also when it cannot be read.
[[nodiscard]] nlohmann::json read_json_file(const std::string& path);

/// The whole file. @throws ConfigError when it cannot be read.
[[nodiscard]] std::string read_text_file(const std::string& path);

/// Writes text to a temporary file in the same directory, flushes it to the disk and renames it, so that a crash
/// leaves the old file or the new one. @throws std::runtime_error naming the path.
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace cosearch
