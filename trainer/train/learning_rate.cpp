#include "trainer/train/learning_rate.hpp"

#include <cmath>
#include <numbers>

namespace cosearch {

double learning_rate_at(const TrainOptions& options, std::int64_t step, std::int64_t steps) {
  const auto warmup = static_cast<std::int64_t>(std::llround(options.warmup * static_cast<double>(steps)));
  if (step < warmup) {
    return options.learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup);
  }
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
  return options.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

}  // namespace cosearch
