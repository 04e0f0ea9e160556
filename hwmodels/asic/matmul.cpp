#include "hwmodels/asic/matmul.hpp"

#include <algorithm>

namespace cosearch::asic {
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

std::vector<Blocking> blockings(const ir::Einsum& einsum, const LoopSet& set) {
  std::vector<Blocking> result;
  const auto extent_of = [&](std::size_t i) { return einsum.loops[static_cast<std::size_t>(set.loops[i])].extent; };
  std::int64_t outer = 1;
  for (std::size_t partial = 0; partial < set.loops.size(); ++partial) {
    const std::int64_t whole = extent_of(partial);
    std::int64_t inner = 1;
    for (std::size_t i = partial + 1; i < set.loops.size(); ++i) {
      inner *= extent_of(i);
    }
    const bool last = partial + 1 == set.loops.size();
    for (std::int64_t part = whole;; part = (part + 1) / 2) {
      if (part == 1 && !last) {
        break;  // one value of this loop is the whole of the next one
      }
      Blocking blocking;
      blocking.extents.assign(set.loops.size(), 1);
      blocking.extents[partial] = part;
      for (std::size_t i = partial + 1; i < set.loops.size(); ++i) {
        blocking.extents[i] = extent_of(i);
      }
      blocking.size = part * inner;
      const std::int64_t per_outer = (whole + part - 1) / part;
      blocking.blocks = outer * per_outer;
      blocking.rest = whole % part * inner;
      blocking.rests = blocking.rest > 0 ? outer : 0;
      result.push_back(std::move(blocking));
      if (part == 1) {
        break;
      }
    }
    outer *= whole;
  }
  if (result.empty()) {
    result.push_back({std::vector<std::int64_t>(set.loops.size(), 1), 1, 1, 0, 0});
  }
  return result;
}

}  // namespace cosearch::asic
