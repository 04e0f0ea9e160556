#include "trainer/data/dataset.hpp"

#include <array>
#include <cmath>

#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"

namespace cosearch {

void measure(TaskData& data) {
  COSEARCH_CHECK(!data.train.pixels.empty(), "a data set needs training samples");
  // A histogram makes both moments exact: integer sums, one division each.
  std::array<std::uint64_t, 256> histogram{};
  for (const std::uint8_t pixel : data.train.pixels) {
    ++histogram[pixel];
  }
  std::uint64_t sum = 0;
  std::uint64_t sum_of_squares = 0;
  for (std::uint64_t level = 0; level < histogram.size(); ++level) {
    sum += level * histogram[level];
    sum_of_squares += level * level * histogram[level];
  }
  const auto count = static_cast<double>(data.train.pixels.size());
  const double mean = static_cast<double>(sum) / count;
  const double variance = static_cast<double>(sum_of_squares) / count - mean * mean;
  data.mean = mean / 255.0;
  // A constant image set has no spread; 1 keeps the normalisation finite.
  data.std_dev = variance > 0.0 ? std::sqrt(variance) / 255.0 : 1.0;

  Hasher hasher;
  for (const Dataset* split : {&data.train, &data.search, &data.test}) {
    for (const std::int64_t extent : split->sample) {
      hasher.add(extent);
    }
    hasher.add(split->classes);
    hasher.add_bytes(std::as_bytes(std::span(split->pixels)));
    hasher.add_bytes(std::as_bytes(std::span(split->labels)));
    if (split->regression) {
      hasher.add_bytes(std::as_bytes(std::span(split->values)));
    }
  }
  data.content_hash = hasher.value();
}

}  // namespace cosearch
