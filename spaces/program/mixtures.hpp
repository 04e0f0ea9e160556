#pragma once

#include <cstdint>

#include "spaces/program/program.hpp"

/// Mixtures of experts as kernel calls; used by the lowering.
namespace cosearch::program {

/// Completes the call of a mixture of experts, which has its geometry: constants of all experts, and what the rows
/// compute with those that they choose.
void describe_mixture(const graph::MoeFfn& op, const LoweringOptions& options, KernelCall& call);

/// Bytes of scratch memory, see ScratchRule::cosearch.
[[nodiscard]] std::int64_t mixture_scratch_bytes(const graph::MoeFfn& op, std::int64_t features,
                                                 const LoweringOptions& options);

}  // namespace cosearch::program
