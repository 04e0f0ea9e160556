#include "spaces/base/infeasible.hpp"

#include <cmath>

namespace cosearch {

double Violation::amount() const noexcept {
  const double scale = std::abs(limit) > 0.0 ? std::abs(limit) : 1.0;
  return std::abs(required - limit) / scale;
}

}  // namespace cosearch
