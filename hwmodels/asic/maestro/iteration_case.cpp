#include "hwmodels/asic/maestro/iteration_case.hpp"

namespace cosearch::maestro {

States states_of(const NestLevel& level, const NestDirective& directive, std::int64_t extent) {
  const std::int64_t size = directive.size;
  const std::int64_t offset = directive.offset;
  States states;
  if (!directive.spatial) {
    if (extent <= size) {
      states.add({1, true, true, extent < size, false});
      return states;
    }
    states.add({1, true, false, false, false});
    const std::int64_t steps = (extent - size) / offset;
    if (steps > 0) {
      states.add({steps, false, false, false, false});
    }
    if (steps * offset + size < extent) {
      states.add({1, false, false, true, false});
    }
    return states;
  }
  const std::int64_t units = level.units;
  const std::int64_t covered = size + offset * (units - 1);
  if (extent <= covered) {
    states.add({1, true, true, extent < covered, extent < covered});
    return states;
  }
  states.add({1, true, false, false, false});
  const std::int64_t steps = ((extent - size) / offset + 1) / units - 1;
  if (steps > 0) {
    states.add({steps, false, false, false, false});
  }
  const std::int64_t advance = offset * units;
  if ((steps + 1) * advance + covered > extent && steps * advance + covered != extent) {
    const std::int64_t rest = extent - (steps + 1) * advance;
    const std::int64_t busy = rest < size ? 1 : (rest - size) / offset + 1;
    states.add({1, false, false, true, (busy - 1) * offset + size < rest});
  }
  return states;
}

std::int64_t busy_at_edge(const NestLevel& level, const Tile& tile) {
  const std::int64_t advance = tile.offset * level.units;
  if (tile.extent > tile.size + tile.offset * (level.units - 1)) {
    const std::int64_t steps = ((tile.extent - tile.size) / tile.offset + 1) / level.units - 1;
    const std::int64_t rest = tile.extent - (steps + 1) * advance;
    return rest < tile.size ? 1 : (rest - tile.size) / tile.offset + 1;
  }
  if (tile.extent > tile.size) {
    const std::int64_t busy = (tile.extent - tile.size) / tile.offset + 1;
    return busy + (tile.offset * (busy - 1) + tile.size < tile.extent ? 1 : 0);
  }
  return 1;
}

}  // namespace cosearch::maestro
