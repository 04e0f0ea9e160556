#include "trainer/train/optimizer.hpp"

#include <algorithm>
#include <cmath>

#include "spaces/base/check.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

constexpr std::int64_t kBlock = 16 * 1024;

}  // namespace

Optimizer::Optimizer(const TrainOptions& options, const Parameters& parameters)
    : options_(options), state_(parameters.trainable_size() * (options.optimizer == OptimizerKind::adamw ? 2 : 1)) {
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (!entry.spec.trainable) {
      continue;
    }
    for (std::int64_t begin = 0; begin < entry.size; begin += kBlock) {
      blocks_.push_back({entry.offset + begin, std::min(kBlock, entry.size - begin), entry.spec.decay});
    }
  }
  squares_.resize(blocks_.size());
}

double Optimizer::gradient_scale(std::span<const float> gradients) {
  if (options_.clip_norm <= 0.0) {
    return 1.0 / options_.loss_scale;
  }
  for_each_parallel(static_cast<std::int64_t>(blocks_.size()), [&](std::int64_t i) {
    const Block& block = blocks_[static_cast<std::size_t>(i)];
    squares_[static_cast<std::size_t>(i)] = kernels::sum_of_squares(block.size, gradients.data() + block.begin);
  });
  double sum = 0.0;
  for (const double square : squares_) {
    sum += square;
  }
  const double norm = std::sqrt(sum) / options_.loss_scale;
  return (norm > options_.clip_norm ? options_.clip_norm / norm : 1.0) / options_.loss_scale;
}

void Optimizer::update(std::int64_t step, double rate, std::span<const float> gradients, Parameters& parameters) {
  COSEARCH_CHECK(static_cast<std::int64_t>(gradients.size()) == parameters.trainable_size(),
                 "gradients of all weights");
  const auto scale = static_cast<float>(gradient_scale(gradients));
  const auto power = static_cast<double>(step + 1);
  const kernels::SgdStep sgd{static_cast<float>(rate), static_cast<float>(options_.momentum), 0.0F, scale};
  const kernels::AdamwStep adamw{static_cast<float>(rate),
                                 static_cast<float>(options_.beta1),
                                 static_cast<float>(options_.beta2),
                                 static_cast<float>(options_.epsilon),
                                 0.0F,
                                 scale,
                                 static_cast<float>(1.0 / (1.0 - std::pow(options_.beta1, power))),
                                 static_cast<float>(1.0 / (1.0 - std::pow(options_.beta2, power)))};
  float* const weights = parameters.values().data();
  float* const first = state_.data();
  const kernels::Dense& dense = kernels::dense(parameters.precision());
  for_each_parallel(static_cast<std::int64_t>(blocks_.size()), [&](std::int64_t i) {
    const Block& block = blocks_[static_cast<std::size_t>(i)];
    const float decay = block.decay ? static_cast<float>(options_.weight_decay) : 0.0F;
    const float* gradient = gradients.data() + block.begin;
    if (options_.optimizer == OptimizerKind::sgd) {
      kernels::SgdStep call = sgd;
      call.decay = decay;
      kernels::sgd_update(call, block.size, gradient, weights + block.begin, first + block.begin);
      dense.round_to_storage(block.size, first + block.begin);
    } else {
      kernels::AdamwStep call = adamw;
      call.decay = decay;
      kernels::adamw_update(call, block.size, gradient, weights + block.begin, first + block.begin,
                            first + parameters.trainable_size() + block.begin);
    }
    dense.round_to_storage(block.size, weights + block.begin);
  });
}

}  // namespace cosearch
