#pragma once

#include <cstdint>
#include <vector>

#include "spaces/catalog/families.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/space/search_space.hpp"

namespace cosearch::catalog {

/// How an image is cut into square patches. Pixels.
struct PatchTiling {
  std::int64_t patch = 1;              ///< side
  std::int64_t padding = 0;            ///< zeros on all sides, see graph::PatchEmbed
  std::int64_t height = 1, width = 1;  ///< of the input, which the trainer resizes to
  bool operator==(const PatchTiling&) const = default;
};

/// With the least padding (less than a patch in all) that makes both sides of the `sample` (height, width, channels)
/// whole numbers of patches; where none does, resized to the nearest such size.
[[nodiscard]] PatchTiling patch_tiling(const graph::Shape& sample, std::int64_t patch);

/// One tiling for each grid of 9 to 64 tokens that some patch size gives: one that needs no resizing if there is any,
/// then the one with the least padding, then the smallest patch. Sorted by patch: many tokens come first.
[[nodiscard]] std::vector<PatchTiling> patch_tilings(const graph::Shape& sample);

/// The tiling of this patch size, which `tilings` has.
[[nodiscard]] const PatchTiling& tiling_of(const std::vector<PatchTiling>& tilings, std::int64_t patch);

/// The patch sizes, as a gene's values.
[[nodiscard]] Choices patch_choices(const std::vector<PatchTiling>& tilings);

/// A transformer of the task on images cut like this; everything else is as VisionTransformer has it.
[[nodiscard]] VisionTransformer transformer_on(const PatchTiling& cut, const TaskShape& task);

}  // namespace cosearch::catalog
