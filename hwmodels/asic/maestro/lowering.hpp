#pragma once

#include <cstdint>
#include <optional>

#include "hwmodels/asic/maestro/layer.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::maestro {

/// An einsum as a layer of MAESTRO that runs `repeats` times: images of a batch, groups, attention heads.
struct LoweredLayer {
  Layer layer;
  std::int64_t repeats = 1;
};

/// Multiply-accumulates of two tensors: convolutions and depthwise convolutions where an operand slides along both
/// image directions, matrix products otherwise. MAESTRO has no padding: a convolution's input extent is
/// (outputs - 1) * stride + kernel. Nothing for other einsums.
[[nodiscard]] std::optional<LoweredLayer> lower_layer(const ir::Workload& workload, const ir::Einsum& einsum);

}  // namespace cosearch::maestro
