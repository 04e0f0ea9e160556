#pragma once

#include <cstdint>
#include <vector>

#include "trainer/quantize/quantized_network.hpp"

/// Quantised networks node by node on whole tensors, from the formulas in quantized_network.hpp: no program, no arena,
/// none of the interpreter's kernels. What the interpreter, and through it the C export, is compared with.
namespace cosearch::oracle {

/// Value of every node: int8, or int32 token ids for an Input of these. A batch norm or activation without a layer of
/// its own is part of what stands before it and has the value of that.
[[nodiscard]] std::vector<std::vector<std::int32_t>> quantized_forward(const quantize::QuantizedNetwork& network,
                                                                       const std::vector<std::int32_t>& input);

}  // namespace cosearch::oracle
