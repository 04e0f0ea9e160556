#pragma once

#include <cstdint>
#include <vector>

#include "hwmodels/attention/design.hpp"

/// What an array does in each cycle of one work on one tile, operation by operation. Of the schedule's judge.
namespace cosearch::testing {

[[nodiscard]] bool of_rows(attention::Extent extent);
[[nodiscard]] bool of_keys(attention::Extent extent);
[[nodiscard]] bool of_both(attention::Extent extent);

/// Whether each position of a tile of this extent lies within the shape, rows outside; `rows`, `keys`: numbers of the
/// tile.
[[nodiscard]] std::vector<bool> positions_inside(attention::Extent extent, const attention::Arch& arch,
                                                 const attention::Shape& shape, std::int64_t rows, std::int64_t keys);

/// Elements that compute a point of the shape, for every cycle that the work takes on the array or on the lanes. Each
/// cycle has at most as many operations as there are elements; aborts otherwise.
[[nodiscard]] std::vector<std::int64_t> cycles_of_task(const attention::Work& work, bool on_array,
                                                       const attention::Arch& arch, const std::vector<bool>& inside);

}  // namespace cosearch::testing
