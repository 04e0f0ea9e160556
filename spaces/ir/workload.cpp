#include "spaces/ir/workload.hpp"

#include <algorithm>

#include "spaces/base/check.hpp"
#include "spaces/ir/checked.hpp"

namespace cosearch::ir {

std::int64_t size_bytes(ElementType type) noexcept {
  switch (type) {
    case ElementType::fp32:
    case ElementType::int32:
      return 4;
    case ElementType::fp16:
    case ElementType::bf16:
    case ElementType::int16:
      return 2;
    case ElementType::int8:
      return 1;
  }
  return 0;
}

std::int64_t Tensor::elements() const noexcept {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    product = checked_multiply(product, extent);
  }
  return product;
}

std::int64_t iterations(const Einsum& einsum) {
  std::int64_t product = 1;
  for (const Loop& loop : einsum.loops) {
    product = checked_multiply(product, loop.extent);
  }
  return product;
}

OperationCounts operation_counts(const Einsum& einsum) {
  if (einsum.combine == Combine::opaque) {
    COSEARCH_CHECK(einsum.opaque.has_value(), "an opaque einsum states its costs");
    return {.macs = 0, .elementwise = einsum.opaque->operations};
  }
  const auto tensor_operands = std::count_if(einsum.operands.begin(), einsum.operands.end(),
                                             [](const Operand& o) { return std::holds_alternative<Access>(o); });
  if (einsum.combine == Combine::mul && einsum.reduce == Reduce::sum && tensor_operands >= 2) {
    return {.macs = iterations(einsum), .elementwise = 0};
  }
  return {.macs = 0, .elementwise = iterations(einsum)};
}

}  // namespace cosearch::ir
