#pragma once

#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "spaces/base/embedded_file.hpp"

namespace cosearch {

/// The files of hwmodels/data, sorted by name.
[[nodiscard]] std::span<const EmbeddedFile> embedded_files();

/// The model data `name`: `<directory>/<name>.json` where that exists, else the embedded file. `directory` may be
/// empty.
/// @throws ConfigError for a directory that is none, an unknown name, a file that cannot be read or is not JSON (naming
/// the file and the position).
[[nodiscard]] nlohmann::json load_data(const std::string& name, const std::string& directory);

/// How error messages call the file that `load_data` reads: its path, or `<name>.json` when it is the embedded one.
[[nodiscard]] std::string data_file_name(const std::string& name, const std::string& directory);

}  // namespace cosearch
