#include <algorithm>
#include <cmath>

#include "trainer/kernels/kernels.hpp"

namespace cosearch::kernels {

double distillation_cross_entropy(std::int64_t rows, std::int64_t columns, float smoothing, double w,
                                  float gradient_scale, const float* x, const std::uint8_t* labels,
                                  const float* class_weights, const float* teacher, float* dx) {
  const double off_target = static_cast<double>(smoothing) / static_cast<double>(columns);
  const double on_target = 1.0 - static_cast<double>(smoothing) + off_target;
  double loss = 0.0;
  for (std::int64_t r = 0; r < rows; ++r, x += columns, teacher += columns, dx += columns) {
    // In double precision, as softmax_cross_entropy.
    const auto maximum = static_cast<double>(*std::max_element(x, x + columns));
    double sum = 0.0;
    for (std::int64_t c = 0; c < columns; ++c) {
      sum += std::exp(static_cast<double>(x[c]) - maximum);
    }
    const double log_sum = maximum + std::log(sum);
    const float weight = class_weights == nullptr ? 1.0F : class_weights[labels[r]];
    for (std::int64_t c = 0; c < columns; ++c) {
      const double log_probability = static_cast<double>(x[c]) - log_sum;
      const double label = c == labels[r] ? on_target : off_target;
      const double target = (1.0 - w) * label + w * static_cast<double>(teacher[c]);
      loss -= static_cast<double>(weight) * target * log_probability;
      dx[c] = gradient_scale * weight * static_cast<float>(std::exp(log_probability) - target);
    }
  }
  return loss;
}

}  // namespace cosearch::kernels
