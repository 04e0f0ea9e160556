#pragma once

#include <string_view>

namespace cosearch {

/// A file of the source tree as it was at build time, see spaces/base/embed_files.cmake.
struct EmbeddedFile {
  std::string_view name;  ///< without directory, and without extension but for FULL_NAMES
  std::string_view text;
};

}  // namespace cosearch
