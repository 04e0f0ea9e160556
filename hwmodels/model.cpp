#include "hwmodels/model.hpp"

#include "spaces/base/hash.hpp"

namespace cosearch {

std::uint64_t hash(const Job& job) {
  Hasher hasher;
  hasher.add(static_cast<std::int64_t>(job.model.index()));
  std::visit([&hasher](const auto& model) { hasher.add(hash(model)); }, job.model);
  hasher.add(static_cast<int>(job.phase)).add(job.batch);
  for (const ir::ElementType type :
       {job.types.activation, job.types.weight, job.types.accumulator, job.types.gradient, job.types.state}) {
    hasher.add(static_cast<int>(type));
  }
  hasher.add(static_cast<std::int64_t>(job.tasks.size()));
  for (const int task : job.tasks) {
    hasher.add(task);
  }
  hasher.add(job.evidence.has_value());
  if (job.evidence) {
    hasher.add(static_cast<std::int64_t>(job.evidence->histograms.size()));
    for (const auto& [name, histogram] : job.evidence->histograms) {
      hasher.add(name).add(static_cast<std::int64_t>(histogram.size()));
      for (const double value : histogram) {
        hasher.add(value);
      }
    }
  }
  return hasher.value();
}

}  // namespace cosearch
