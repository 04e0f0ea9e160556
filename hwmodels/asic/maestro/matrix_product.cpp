#include "hwmodels/asic/maestro/matrix_product.hpp"

#include <algorithm>

namespace cosearch::maestro {
namespace {

bool names(const ir::Access& access, int loop) {
  return std::any_of(access.axes.begin(), access.axes.end(), [loop](const ir::AxisIndex& axis) {
    return std::any_of(axis.terms.begin(), axis.terms.end(),
                       [loop](const ir::Term& term) { return term.loop == loop && term.coefficient != 0; });
  });
}

void append(LoopSet& set, int loop, std::int64_t extent) {
  set.loops.push_back(loop);
  set.extent *= extent;
}

}  // namespace

std::optional<MatrixProduct> matrix_product(const ir::Einsum& einsum, std::size_t stationary) {
  if (einsum.combine != ir::Combine::mul || einsum.reduce != ir::Reduce::sum || einsum.operands.size() != 2) {
    return std::nullopt;
  }
  MatrixProduct product;
  product.stationary = std::get_if<ir::Access>(&einsum.operands[stationary]);
  product.streamed = std::get_if<ir::Access>(&einsum.operands[1 - stationary]);
  if (product.stationary == nullptr || product.streamed == nullptr) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < einsum.loops.size(); ++i) {
    const int loop = static_cast<int>(i);
    const std::int64_t extent = einsum.loops[i].extent;
    const bool in_stationary = names(*product.stationary, loop);
    if (!names(einsum.output, loop)) {
      append(product.reduction, loop, extent);
    } else if (!in_stationary) {
      append(product.rows, loop, extent);
    } else if (names(*product.streamed, loop)) {
      append(product.groups, loop, extent);
    } else {
      append(product.columns, loop, extent);
    }
  }
  return product;
}

}  // namespace cosearch::maestro
