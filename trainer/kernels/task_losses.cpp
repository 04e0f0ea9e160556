#include <cmath>

#include "trainer/kernels/kernels.hpp"

namespace cosearch::kernels {

double weighted_cross_entropy(std::int64_t rows, std::int64_t columns, float smoothing, float gradient_scale,
                              const float* x, const std::uint8_t* labels, const float* class_weights, float* dx) {
  double loss = 0.0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float weight = class_weights[labels[r]];
    loss += static_cast<double>(weight) * softmax_cross_entropy(1, columns, smoothing, gradient_scale * weight,
                                                                x + r * columns, labels + r, dx + r * columns);
  }
  return loss;
}

double regression_loss(RegressionLoss loss, std::int64_t size, float gradient_scale, const float* x,
                       const float* target, float* dx) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < size; ++i) {
    const float difference = x[i] - target[i];
    const auto exact = static_cast<double>(difference);
    if (loss == RegressionLoss::squared) {
      sum += exact * exact;
      dx[i] = gradient_scale * 2.0F * difference;
    } else {
      sum += std::abs(exact);
      dx[i] = difference == 0.0F ? 0.0F : std::copysign(gradient_scale, difference);
    }
  }
  return sum;
}

}  // namespace cosearch::kernels
