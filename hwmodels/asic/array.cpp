#include "hwmodels/asic/array.hpp"

namespace cosearch::asic {

std::int64_t pass_cycles(const ArrayShape& array, const Pass& pass) {
  return pass.rows + pass.vectors + array.rows + pass.columns - 2;
}

std::vector<Pieces> cut(std::int64_t extent, std::int64_t limit) {
  std::vector<Pieces> pieces;
  if (extent >= limit) {
    pieces.push_back({limit, extent / limit});
  }
  if (extent % limit > 0) {
    pieces.push_back({extent % limit, 1});
  }
  return pieces;
}

}  // namespace cosearch::asic
