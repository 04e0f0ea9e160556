#include <algorithm>
#include <cmath>

#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"

namespace cosearch::kernels {

void accumulate_in_order(const Dense& dense, std::int64_t count, std::int64_t parts, const float* const* part,
                         std::int64_t offset, float* sum) {
  std::copy_n(part[0] + offset, count, sum);
  for (std::int64_t p = 1; p < parts; ++p) {
    add(count, sum, part[p] + offset, sum);
    dense.round_to_storage(count, sum);
  }
}

double sum_of_squares(std::int64_t count, const float* x) {
  constexpr std::int64_t kLanes = 16;
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t j = 0; j < kLanes; ++j) {
      const auto value = static_cast<double>(x[i + j]);
      lanes[j] += value * value;
    }
  }
  for (std::int64_t j = 0; i < count; ++i, ++j) {
    const auto value = static_cast<double>(x[i]);
    lanes[j] += value * value;
  }
  return sum_lanes(lanes);
}

void sgd_update(const SgdStep& step, std::int64_t count, const float* gradient, float* weight, float* velocity) {
  COSEARCH_INDEPENDENT_ITERATIONS
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = multiply_add(step.decay, weight[i], step.gradient_scale * gradient[i]);
    velocity[i] = multiply_add(step.momentum, velocity[i], g);
    weight[i] = multiply_add(-step.rate, velocity[i], weight[i]);
  }
}

void adamw_update(const AdamwStep& step, std::int64_t count, const float* gradient, float* weight, float* mean,
                  float* square) {
  COSEARCH_INDEPENDENT_ITERATIONS
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = step.gradient_scale * gradient[i];
    mean[i] = multiply_add(step.beta1, mean[i], (1.0F - step.beta1) * g);
    square[i] = multiply_add(step.beta2, square[i], (1.0F - step.beta2) * g * g);
    const float direction =
        step.mean_correction * mean[i] / (std::sqrt(step.square_correction * square[i]) + step.epsilon);
    weight[i] = multiply_add(-step.rate, direction, weight[i] - step.rate * step.decay * weight[i]);
  }
}

}  // namespace cosearch::kernels
