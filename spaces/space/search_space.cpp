#include "spaces/space/search_space.hpp"

#include <algorithm>

namespace cosearch {

std::optional<std::int64_t> output_patch(const graph::Shape& output, const graph::Shape& sample, const TaskHead& head) {
  if (output == TaskShape{sample, head.classes, head.dense}.output()) {
    return 1;
  }
  if (!head.dense || output.size() != 2) {
    return std::nullopt;
  }
  for (std::int64_t patch = 1; patch <= std::min(sample[0], sample[1]); ++patch) {
    const bool covers = sample[0] % patch == 0 && sample[1] % patch == 0;
    if (covers && output == graph::Shape{sample[0] / patch * (sample[1] / patch), patch * patch * head.classes}) {
      return patch;
    }
  }
  return std::nullopt;
}

}  // namespace cosearch
