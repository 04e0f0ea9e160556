#pragma once

#include <cstdint>
#include <vector>

#include "kernel_cases.h"

/// The formulas of trainer/quantize/quantized_network.hpp, element by element: what a kernel call must leave in `out`.
namespace cosearch::testing_support {

/// The bytes of `out` after the call, from those before it.
[[nodiscard]] std::vector<std::int8_t> expected_output(const kernel_case& call);

}  // namespace cosearch::testing_support
