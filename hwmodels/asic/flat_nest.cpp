#include "hwmodels/asic/flat_nest.hpp"

#include "spaces/base/check.hpp"

namespace cosearch::asic {

FlatNest::FlatNest(const LoopNest& nest, int levels, int dim_count) : dims(dim_count) {
  whole.fill(1);
  for (int level = 0; level < levels; ++level) {
    const auto l = static_cast<std::size_t>(level);
    outside[l] = size;
    const LevelNest& loops = nest.levels[l];
    for (std::size_t i = loops.size; i-- > 0;) {
      const NestLoop& loop = loops.storage[i];
      const auto dim = static_cast<std::size_t>(loop.dim);
      const std::int64_t step = whole[dim];
      COSEARCH_CHECK(loop.extent >= step, "a loop covers what lies inside of it");
      if (loop.extent == step) {
        continue;
      }
      whole[dim] = loop.extent;
      const std::int64_t count = (loop.extent - 1) / step + 1;
      const bool is_spatial = loop.kind != LoopKind::temporal;
      if (is_spatial) {
        spatial_levels[dim] |= std::uint32_t{1} << static_cast<unsigned>(level);
        (loop.kind == LoopKind::spatial_x ? spatial[l].x : spatial[l].y) *= count;
        // Both directions of one loop are one set of instances.
        const int last = chain_size[dim] > 0 ? chain[dim][static_cast<std::size_t>(chain_size[dim]) - 1] : -1;
        if (last >= outside[l] && steps[static_cast<std::size_t>(last)].spatial) {
          Step& both = steps[static_cast<std::size_t>(last)];
          both.extent = loop.extent;
          both.count = (loop.extent - 1) / both.step + 1;
          both.divides = both.count * both.step == both.extent;
          divides = divides && both.divides;
          continue;
        }
      }
      COSEARCH_CHECK(size < kMaxSteps, "too many loops in a nest");
      const bool even = count * step == loop.extent;
      steps[static_cast<std::size_t>(size)] = {loop.dim, level, is_spatial, step, loop.extent, count, even};
      divides = divides && even;
      chain[dim][static_cast<std::size_t>(chain_size[dim]++)] = static_cast<std::uint8_t>(size);
      ++size;
    }
    tile[l] = whole;
  }
  outside[static_cast<std::size_t>(levels)] = size;
}

bool FlatNest::has_spatial(int inner, int outer) const noexcept {
  for (int level = inner + 1; level <= outer; ++level) {
    if (spatial[static_cast<std::size_t>(level)].size() > 1) {
      return true;
    }
  }
  return false;
}

}  // namespace cosearch::asic
