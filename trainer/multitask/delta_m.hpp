#pragma once

#include <span>

namespace cosearch {

/// What a network reaches in one task: accuracy, mean intersection over union, or the error of a regression.
struct TaskScore {
  double value = 0.0;
  bool lower_is_better = false;
  bool operator==(const TaskScore&) const = default;
};

/// Delta_m (Liang et al., "M3ViT: mixture-of-experts vision transformer for efficient multi-task learning with
/// model-accelerator co-design", NeurIPS 2022, section 4.1): the mean over the tasks of the change relative to a
/// baseline, (value - baseline) / baseline, with the sign that makes gains positive. A share, not percent. One
/// positive baseline for each score; at least one.
[[nodiscard]] double delta_m(std::span<const TaskScore> scores, std::span<const double> baselines);

}  // namespace cosearch
