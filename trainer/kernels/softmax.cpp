#include <algorithm>
#include <cmath>

#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/math.hpp"
#include "trainer/kernels/softmax/softmax_row.hpp"

namespace cosearch::kernels {
namespace {

constexpr std::int64_t kLanes = 16;

float row_maximum(std::int64_t columns, const float* x) {
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, x[0]);
  std::int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    for (std::int64_t i = 0; i < kLanes; ++i) {
      lanes[i] = lanes[i] < x[c + i] ? x[c + i] : lanes[i];
    }
  }
  for (; c < columns; ++c) {
    lanes[0] = lanes[0] < x[c] ? x[c] : lanes[0];
  }
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) {
      lanes[i] = lanes[i] < lanes[i + half] ? lanes[i + half] : lanes[i];
    }
  }
  return lanes[0];
}

}  // namespace

void softmax(std::int64_t rows, std::int64_t columns, float scale, const float* x, float* y) {
  const SoftmaxMethod method = choose_softmax_method(columns);
  if (method == SoftmaxMethod{SoftmaxAlgorithm::three_pass_reload, Stores::cached}) {
    softmax_short_rows(best_instruction_set(), rows, columns, scale, x, y);
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    softmax_row(method, best_instruction_set(), columns, scale, x, y);
  }
}

void softmax_backward(std::int64_t rows, std::int64_t columns, float scale, const float* y, const float* dy,
                      float* dx) {
  softmax_rows_backward(best_instruction_set(), rows, columns, scale, y, dy, dx);
}

double softmax_cross_entropy(std::int64_t rows, std::int64_t columns, float smoothing, float gradient_scale,
                             const float* x, const std::uint8_t* labels, float* dx) {
  const double off_target = static_cast<double>(smoothing) / static_cast<double>(columns);
  const double on_target = 1.0 - static_cast<double>(smoothing) + off_target;
  double loss = 0.0;
  for (std::int64_t r = 0; r < rows; ++r, x += columns, dx += columns) {
    // In double precision: a row has a handful of classes, and the loss of a confident network keeps its digits.
    const double maximum = static_cast<double>(row_maximum(columns, x));
    double sum = 0.0;
    for (std::int64_t c = 0; c < columns; ++c) {
      sum += std::exp(static_cast<double>(x[c]) - maximum);
    }
    const double log_sum = maximum + std::log(sum);
    for (std::int64_t c = 0; c < columns; ++c) {
      const double log_probability = static_cast<double>(x[c]) - log_sum;
      const double target = c == labels[r] ? on_target : off_target;
      loss -= target * log_probability;
      dx[c] = gradient_scale * static_cast<float>(std::exp(log_probability) - target);
    }
  }
  return loss;
}

}  // namespace cosearch::kernels
