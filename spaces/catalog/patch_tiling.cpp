#include "spaces/catalog/patch_tiling.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch::catalog {
namespace {

/// Padding by less than a patch in all that makes both sides whole numbers of patches.
std::optional<std::int64_t> exact_padding(std::int64_t height, std::int64_t width, std::int64_t patch) {
  for (std::int64_t padding = 0; 2 * padding < patch; ++padding) {
    if ((height + 2 * padding) % patch == 0 && (width + 2 * padding) % patch == 0) {
      return padding;
    }
  }
  return std::nullopt;
}

}  // namespace

PatchTiling patch_tiling(const graph::Shape& sample, std::int64_t patch) {
  if (const std::optional<std::int64_t> padding = exact_padding(sample[0], sample[1], patch)) {
    return {patch, *padding, sample[0], sample[1]};
  }
  const auto nearest = [patch](std::int64_t side) { return std::max(patch, (2 * side + patch) / (2 * patch) * patch); };
  return {patch, 0, nearest(sample[0]), nearest(sample[1])};
}

std::vector<PatchTiling> patch_tilings(const graph::Shape& sample) {
  constexpr std::int64_t kFewestTokens = 9;
  constexpr std::int64_t kMostTokens = 64;
  const auto grid = [](const PatchTiling& t) {
    return std::pair((t.height + 2 * t.padding) / t.patch, (t.width + 2 * t.padding) / t.patch);
  };
  const auto waste = [&](const PatchTiling& t) {
    return std::pair(t.height != sample[0] || t.width != sample[1], t.padding);
  };
  std::vector<PatchTiling> found;
  for (std::int64_t patch = 2; patch <= std::max(sample[0], sample[1]); ++patch) {
    const PatchTiling next = patch_tiling(sample, patch);
    const std::int64_t tokens = grid(next).first * grid(next).second;
    if (tokens < kFewestTokens || tokens > kMostTokens) {
      continue;
    }
    const auto twin =
        std::find_if(found.begin(), found.end(), [&](const PatchTiling& t) { return grid(t) == grid(next); });
    if (twin == found.end()) {
      found.push_back(next);
    } else if (waste(next) < waste(*twin)) {
      *twin = next;
    }
  }
  std::sort(found.begin(), found.end(), [](const PatchTiling& a, const PatchTiling& b) { return a.patch < b.patch; });
  return found;
}

const PatchTiling& tiling_of(const std::vector<PatchTiling>& tilings, std::int64_t patch) {
  const auto at = std::find_if(tilings.begin(), tilings.end(), [&](const PatchTiling& t) { return t.patch == patch; });
  COSEARCH_CHECK(at != tilings.end(), "unknown patch size");
  return *at;
}

Choices patch_choices(const std::vector<PatchTiling>& tilings) {
  Choices patches;
  for (const PatchTiling& tiling : tilings) {
    patches.values.emplace_back(tiling.patch);
  }
  return patches;
}

VisionTransformer transformer_on(const PatchTiling& cut, const TaskShape& task) {
  VisionTransformer net;
  net.input = {cut.height, cut.width, task.sample[2]};
  net.classes = task.classes;
  net.patch = cut.patch;
  net.padding = cut.padding;
  return net;
}

}  // namespace cosearch::catalog
