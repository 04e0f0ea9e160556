#pragma once

#include <cstdint>

#include "spaces/ir/workload.hpp"

namespace cosearch::asic {

/// How often an einsum is executed: the extent of its iterative rank, or once.
[[nodiscard]] std::int64_t steps_of(const ir::Workload& workload, const ir::Einsum& einsum);

/// One of these executions: between two of them the other einsums of the block run, so that nothing is carried over
/// but through tensors. An einsum of its own, without the loop over the iterative rank: that of the first step.
[[nodiscard]] ir::Einsum one_step(const ir::Workload& workload, const ir::Einsum& einsum);

}  // namespace cosearch::asic
