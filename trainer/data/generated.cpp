#include "trainer/data/generated.hpp"

#include <fmt/format.h>

#include "spaces/base/config_error.hpp"

namespace cosearch {

GeneratedSplits read_generated_splits(const JsonReader& reader, std::int64_t sample_bytes) {
  constexpr std::int64_t kMostSamples = 1'000'000;
  const GeneratedSplits splits{
      .train = reader.integer("train", 256, 1, kMostSamples),
      .search = reader.integer("search", 64, 1, kMostSamples),
      .test = reader.integer("test", 64, 1, kMostSamples),
      .seed = reader.integer("seed", 0, 0, INT64_MAX),
  };
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 30U;
  const std::int64_t bytes = sample_bytes * (splits.train + splits.search + splits.test);
  if (bytes > kMostBytes) {
    throw ConfigError("", fmt::format("the splits hold {} pixels, expected at most {}", bytes, kMostBytes));
  }
  return splits;
}

}  // namespace cosearch
