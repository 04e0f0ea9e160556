#pragma once

#include <cstdint>

#include "spaces/base/json_reader.hpp"

namespace cosearch {

/// What configs of all generated data sets say.
struct GeneratedSplits {
  std::int64_t train, search, test;  ///< samples
  std::int64_t seed;
};

/// Reads "train", "search", "test" and "seed". @throws ConfigError; also where the splits, of samples of so many bytes,
/// are too large.
[[nodiscard]] GeneratedSplits read_generated_splits(const JsonReader& reader, std::int64_t sample_bytes);

}  // namespace cosearch
