#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "spaces/base/json_reader.hpp"

/// Data sets that are one folder per class: DIRECTORY/train/CLASS/FILE and DIRECTORY/test/CLASS/FILE, or
/// DIRECTORY/CLASS/FILE where there is no folder `train`.
namespace cosearch {

struct ClassFoldersOptions {
  std::string directory;
  std::int64_t classes = 0;
  std::vector<std::string> class_names;  ///< the folders to take, in label order; empty: all, sorted by name
  std::int64_t search_percent = 10;
  std::int64_t test_percent = 10;  ///< used where there is no folder `test`
};

/// Reads the options `directory`, `classes` (how many class folders there are, or which to take), `search_percent`
/// and `test_percent`. @throws ConfigError
[[nodiscard]] ClassFoldersOptions class_folders_options(const JsonReader& reader);

struct LabelledFiles {
  std::vector<std::string> paths;
  std::vector<std::uint8_t> labels;
};

struct ClassFolders {
  std::vector<std::string> class_names;  ///< by label
  LabelledFiles train;
  LabelledFiles search;
  LabelledFiles test;
};

/// The files NAME`extension` (any case), by class and name. Where one list is split, a file's place follows from a
/// hash of its name alone, so that adding files moves no other: as in Speech Commands (Warden, arXiv:1804.03209,
/// section 5), the part before `_nohash_` names the speaker, all of whose files stay together; other files count by
/// CLASS/NAME. Hidden folders and those that begin with `_` are no classes. @throws ConfigError: missing or empty
/// folders, other classes than stated.
[[nodiscard]] ClassFolders list_class_folders(const ClassFoldersOptions& options, const std::string& extension);

}  // namespace cosearch
