#include "hwmodels/asic/maestro/lowering.hpp"

#include <algorithm>
#include <array>
#include <variant>
#include <vector>

#include "hwmodels/asic/maestro/matrix_product.hpp"

namespace cosearch::maestro {
namespace {

/// An axis stride * outer + window of the streamed operand.
struct Sliding {
  int outer = 0;
  int window = 0;
  std::int64_t stride = 1;
};

bool has(const LoopSet& set, int loop) {
  return std::find(set.loops.begin(), set.loops.end(), loop) != set.loops.end();
}

std::vector<Sliding> sliding_axes(const MatrixProduct& product) {
  std::vector<Sliding> axes;
  for (const ir::AxisIndex& axis : product.streamed->axes) {
    if (axis.terms.size() != 2) {
      continue;
    }
    const bool first_is_outer = has(product.rows, axis.terms[0].loop);
    const ir::Term& outer = axis.terms[first_is_outer ? 0 : 1];
    const ir::Term& window = axis.terms[first_is_outer ? 1 : 0];
    if (has(product.rows, outer.loop) && has(product.reduction, window.loop) && window.coefficient == 1 &&
        outer.coefficient >= 1) {
      axes.push_back({outer.loop, window.loop, outer.coefficient});
    }
  }
  return axes;
}

/// The operand that stays in the array: the weights, else the second.
std::size_t stationary_operand(const ir::Workload& workload, const ir::Einsum& einsum) {
  const auto* first = std::get_if<ir::Access>(einsum.operands.data());
  const bool first_is_weight =
      first != nullptr && workload.tensors[static_cast<std::size_t>(first->tensor)].kind == ir::TensorKind::weight;
  return first_is_weight ? 0 : 1;
}

}  // namespace

std::optional<LoweredLayer> lower_layer(const ir::Workload& workload, const ir::Einsum& einsum) {
  if (einsum.operands.size() != 2) {
    return std::nullopt;
  }
  const auto product = matrix_product(einsum, stationary_operand(workload, einsum));
  if (!product) {
    return std::nullopt;
  }
  const std::vector<Sliding> axes = sliding_axes(*product);
  if (axes.size() != 2) {
    return LoweredLayer{gemm(product->rows.extent, product->columns.extent, product->reduction.extent),
                        product->groups.extent};
  }
  const auto extent = [&einsum](int loop) { return einsum.loops[static_cast<std::size_t>(loop)].extent; };
  const Kernel kernel{extent(axes[0].window), extent(axes[1].window)};
  const Plane stride{axes[0].stride, axes[1].stride};
  const Plane input{(extent(axes[0].outer) - 1) * stride.rows + kernel.rows,
                    (extent(axes[1].outer) - 1) * stride.columns + kernel.columns};
  const std::int64_t images = product->rows.extent / (extent(axes[0].outer) * extent(axes[1].outer));
  const std::int64_t channels = product->reduction.extent / (kernel.rows * kernel.columns);
  if (product->groups.extent > 1 && product->columns.extent == 1 && channels == 1) {
    return LoweredLayer{depthwise(product->groups.extent, kernel, input, stride), images};
  }
  return LoweredLayer{convolution(product->columns.extent, channels, kernel, input, stride),
                      images * product->groups.extent};
}

}  // namespace cosearch::maestro
