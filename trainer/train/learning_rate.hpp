#pragma once

#include <cstdint>

#include "trainer/train/train.hpp"

namespace cosearch {

/// The rate of step 0 <= `step` < `steps`: rises linearly over the first round(warmup * steps) steps, reaching the full
/// rate with the last of them, then falls to 0 along half a cosine (Loshchilov & Hutter, "SGDR", ICLR 2017).
[[nodiscard]] double learning_rate_at(const TrainOptions& options, std::int64_t step, std::int64_t steps);

}  // namespace cosearch
