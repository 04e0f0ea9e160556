#include <cmath>

#include "trainer/kernels/kernels.hpp"

namespace cosearch::kernels {
namespace {

/// Of one number, and its derivative.
struct Term {
  double loss = 0.0;
  float slope = 0.0F;
};

Term regression_term(RegressionLoss loss, float difference) {
  const auto exact = static_cast<double>(difference);
  if (loss == RegressionLoss::squared) {
    return {exact * exact, 2.0F * difference};
  }
  return {std::abs(exact), difference == 0.0F ? 0.0F : std::copysign(1.0F, difference)};
}

}  // namespace

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
    const Term term = regression_term(loss, x[i] - target[i]);
    sum += term.loss;
    dx[i] = gradient_scale * term.slope;
  }
  return sum;
}

double distillation_regression_loss(RegressionLoss loss, std::int64_t size, double w, float gradient_scale,
                                    const float* x, const float* target, const float* teacher, float* dx) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < size; ++i) {
    const Term own = regression_term(loss, x[i] - target[i]);
    const Term taught = regression_term(loss, x[i] - teacher[i]);
    sum += (1.0 - w) * own.loss + w * taught.loss;
    dx[i] = gradient_scale *
            static_cast<float>((1.0 - w) * static_cast<double>(own.slope) + w * static_cast<double>(taught.slope));
  }
  return sum;
}

}  // namespace cosearch::kernels
