#include "trainer/multitask/delta_m.hpp"

#include "spaces/base/check.hpp"

namespace cosearch {

double delta_m(std::span<const TaskScore> scores, std::span<const double> baselines) {
  COSEARCH_CHECK(!scores.empty() && scores.size() == baselines.size(), "a baseline for each task");
  double sum = 0.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    COSEARCH_CHECK(baselines[i] > 0.0, "changes are relative to what is not 0");
    const double change = (scores[i].value - baselines[i]) / baselines[i];
    sum += scores[i].lower_is_better ? -change : change;
  }
  return sum / static_cast<double>(scores.size());
}

}  // namespace cosearch
