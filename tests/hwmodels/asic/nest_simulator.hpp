#pragma once

#include "hwmodels/asic/arch.hpp"
#include "hwmodels/asic/count.hpp"
#include "hwmodels/asic/loop_nest.hpp"

namespace cosearch::testing {

/// Executes a small nest step by step with explicit sets of what every instance holds, and counts what NestCounter
/// claims, by the model in its documentation. Shares nothing with it but the plain values.
[[nodiscard]] asic::Counts simulate(const ir::Workload& workload, const ir::Einsum& einsum, const asic::Arch& arch,
                                    const asic::LoopNest& nest, ir::FootprintKind footprint);

}  // namespace cosearch::testing
