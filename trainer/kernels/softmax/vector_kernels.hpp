#pragma once

#include <cstdint>

#include "trainer/kernels/softmax/softmax_row.hpp"

namespace cosearch::kernels {

/// The softmax functions as compiled for one instruction set.
struct SoftmaxKernels {
  void (*row)(SoftmaxMethod method, std::int64_t n, float scale, const float* x, float* y) = nullptr;
  void (*short_rows)(std::int64_t rows, std::int64_t columns, float scale, const float* x, float* y) = nullptr;
  void (*rows_backward)(std::int64_t rows, std::int64_t columns, float scale, const float* y, const float* dy,
                        float* dx) = nullptr;
};

/// All pointers are null where the build or the processor lacks the instruction set.
[[nodiscard]] SoftmaxKernels softmax_kernels(InstructionSet set);

}  // namespace cosearch::kernels
